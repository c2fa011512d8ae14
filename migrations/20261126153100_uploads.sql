-- Uploads of runners under way: what has come of each, so that one that broke off goes on instead of beginning anew.

create table uploads (
    run_id uuid not null,
    attempt integer not null,
    -- What it will be; of each kind there is one at a time.
    kind text not null check (kind in ('result', 'checkpoint', 'setup_cache')),
    -- SHA-256 of the whole and its length in bytes: another upload takes the place of this one.
    digest bytea not null,
    length bigint not null check (length >= 0),
    -- Bytes that lie in parts, from the beginning on.
    received bigint not null default 0 check (received between 0 and length),
    begun_at timestamptz not null,
    primary key (run_id, attempt, kind),
    foreign key (run_id, attempt) references attempts
);

create table upload_parts (
    run_id uuid not null,
    attempt integer not null,
    kind text not null,
    -- Place of its first byte in the whole.
    start bigint not null,
    bytes bigint not null check (bytes > 0),
    blob text not null,
    primary key (run_id, attempt, kind, start),
    foreign key (run_id, attempt, kind) references uploads on delete cascade
);
