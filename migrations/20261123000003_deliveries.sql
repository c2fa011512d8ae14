-- The ledger of webhook deliveries, and what the platform remembers to judge the next one.

create table deliveries (
    id uuid primary key,
    -- X-GitHub-Hook-ID, 0 if it was absent.
    hook_key bigint not null,
    guid text not null,
    event text not null,
    action text,
    repository_id uuid references repositories,
    forge_repo_id bigint,
    subject_number bigint,
    sender_login text,
    sender_id bigint,
    verdict text not null check (verdict in ('started', 'signalled', 'duplicate', 'no_rule', 'repository_unknown',
        'loop_guard', 'two_agent_labels', 'already_working', 'archived', 'echo', 'cancelled_before_start',
        'nothing_to_cancel', 'nothing_to_retry', 'config_refresh', 'repository_updated', 'ignored')),
    reason text not null,
    run_id uuid references runs,
    received_at timestamptz not null,
    unique (hook_key, guid)
);
create index deliveries_newest on deliveries (received_at desc, id desc);
create index deliveries_repository on deliveries (repository_id, received_at desc);
create index deliveries_run on deliveries (run_id) where run_id is not null;

-- A /cancel, a label taken off or an issue closed, kept because the start it is about may arrive later.
create table cancel_marks (
    repository_id uuid not null references repositories,
    subject_kind text not null check (subject_kind in ('issue', 'pull_request')),
    subject_number bigint not null,
    event_at timestamptz not null,
    delivery_id uuid not null references deliveries,
    -- Only starts by this label; none: all.
    label text,
    -- Who wants it, how, and whether the forge has checked their rights already.
    request jsonb not null,
    primary key (repository_id, subject_kind, subject_number, event_at, delivery_id)
);
create index cancel_marks_delivery on cancel_marks (delivery_id);

-- Stored before a write, so that its echo is known as ours even when it comes before the answer.
create table write_intents (
    id uuid primary key,
    repository_id uuid not null references repositories,
    run_id uuid references runs,
    kind text not null check (kind in ('comment', 'label', 'push', 'pull_request', 'review', 'status')),
    key text not null,
    forge_id bigint,
    created_at timestamptz not null,
    done_at timestamptz
);
create index write_intents_key on write_intents (repository_id, kind, key);
create index write_intents_forge_id on write_intents (repository_id, kind, forge_id);
create index write_intents_run on write_intents (run_id);

create table refusals (
    run_id uuid primary key references runs,
    repository_id uuid not null references repositories,
    subject_number bigint not null,
    at timestamptz not null,
    -- Whether the issue was told.
    commented boolean not null
);
create index refusals_repository on refusals (repository_id, at);
create index refusals_subject on refusals (repository_id, subject_number) where commented;
