-- The newest kept state of an agent's work, for an attempt that goes on from there. One row an attempt: what is older than
-- the newest is of no use.

create table checkpoints (
    run_id uuid not null,
    attempt integer not null,
    -- Counted by the runner; only a greater one replaces the row.
    seq bigint not null check (seq >= 1),
    at timestamptz not null,
    work_blob text not null,
    thread_id text,
    thread_blob text,
    bytes bigint not null,
    primary key (run_id, attempt),
    foreign key (run_id, attempt) references attempts,
    constraint checkpoints_thread_is_whole check ((thread_id is null) = (thread_blob is null))
);

-- An attempt that was asked to go on from an earlier one's work, and whose work that is; none: none was kept.
alter table attempts add column asked_to_continue boolean not null default false,
    add column continues_attempt integer,
    add constraint attempts_continue_an_earlier_one check (continues_attempt < attempt);
