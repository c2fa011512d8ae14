-- Why the Job of an attempt ended without a report, with what proves it: how it ended as the cluster tells it, and the last
-- that it wrote itself.
alter table attempts
    add column failure_class text check (failure_class in ('out_of_memory', 'possibly_out_of_memory', 'evicted', 'node_lost',
        'image', 'unschedulable', 'quota', 'not_started', 'deadline', 'deleted', 'cluster_away', 'network', 'tools',
        'no_report', 'silent')),
    add column failure_evidence jsonb;

-- What the cluster said about a Job and its pods. The same event counts up.
create table job_events (
    run_id uuid not null,
    attempt integer not null,
    uid text not null,
    count integer not null check (count >= 1),
    at timestamptz not null,
    warning boolean not null,
    reason text not null,
    message text not null,
    primary key (run_id, attempt, uid),
    foreign key (run_id, attempt) references attempts
);
