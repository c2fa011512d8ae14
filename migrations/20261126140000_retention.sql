-- What is kept for a time only: raw payloads and logs.

alter table attempts add column logs_deleted_at timestamptz;
create index attempts_with_logs on attempts (run_id, attempt) where logs_deleted_at is null;

-- Drops the oldest partition of payloads whose day was over before `cutoff`; gives its name, or null if there is none.
-- Dropping one needs all payloads to itself for a moment: rather than have webhooks wait behind it while somebody keeps
-- them, it is tried again another time.
create function drop_old_payloads(cutoff timestamptz) returns text
language plpgsql as $$
declare
    child text;
begin
    perform set_config('lock_timeout', '500ms', true);
    select c.relname into child
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'public.delivery_payloads'::regclass and c.relname ~ '^delivery_payloads_[0-9]{8}$'
        and (to_date(right(c.relname, 8), 'YYYYMMDD') + 1)::timestamp at time zone 'UTC' <= cutoff
    order by c.relname limit 1;
    if child is not null then
        execute format('drop table public.%I', child);
    end if;
    return child;
end
$$;
