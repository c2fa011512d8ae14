-- Runs that go on with a pull request of ours, and what keeps runs from causing one another without end.

alter table runs drop constraint runs_trigger_kind_check;
alter table runs add constraint runs_trigger_kind_check
    check (trigger_kind in ('label', 'command', 'review', 'checks', 'manual'));

-- How many runs in a row, this one included, were caused by machines with no person in between.
alter table runs add column machine_depth integer not null default 0 check (machine_depth >= 0);

create index runs_head on runs (repository_id, head_sha) where pr_number is not null;

-- What was held back, one row an issue or pull request: for whoever wonders why nothing happens.
create table storms (
    repository_id uuid not null references repositories,
    subject_kind text not null check (subject_kind in ('issue', 'pull_request')),
    subject_number bigint not null,
    reason text not null,
    first_at timestamptz not null,
    last_at timestamptz not null,
    held_back bigint not null default 1,
    last_delivery_id uuid not null references deliveries,
    primary key (repository_id, subject_kind, subject_number)
);
create index storms_latest on storms (last_at desc);
create index storms_delivery on storms (last_delivery_id);
