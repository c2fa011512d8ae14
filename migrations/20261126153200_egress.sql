-- Where the programs of a Job wanted to go and were not let out. One row a host and port of an attempt.

create table egress_refusals (
    run_id uuid not null,
    attempt integer not null,
    host text not null,
    port integer not null,
    reason text not null check (reason in ('not_listed', 'address', 'port', 'private')),
    -- How often.
    count bigint not null default 1,
    first_at timestamptz not null,
    last_at timestamptz not null,
    primary key (run_id, attempt, host, port),
    foreign key (run_id, attempt) references attempts
);
