-- Parts are of the same kinds as their uploads; said here, too, so that no column of words takes others.
alter table upload_parts add constraint upload_parts_kind_check check (kind in ('result', 'checkpoint', 'setup_cache'));
