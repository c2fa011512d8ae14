-- A retry that nobody was entitled to: the run keeps the end that it had.
alter table attempts add column withdrawn boolean not null default false;

-- Until when a step waits because the forge, or our own pace, said so.
alter table steps add column wait_until timestamptz;

-- Output of attempts that have ended: rows become one blob.
create table log_archives (
    run_id uuid not null,
    attempt integer not null,
    blob text not null,
    chunks bigint not null check (chunks > 0),
    archived_at timestamptz not null,
    primary key (run_id, attempt),
    foreign key (run_id, attempt) references attempts
);
