-- Runs of agents, their attempts and steps.

create table runs (
    id uuid primary key,
    repository_id uuid not null references repositories,
    project_id uuid not null references projects,
    subject_kind text not null check (subject_kind in ('issue', 'pull_request')),
    subject_number bigint not null,
    subject_title text not null,
    agent text not null,
    trigger_kind text not null check (trigger_kind in ('label', 'command', 'manual')),
    trigger_detail jsonb not null,
    -- What the run is about, so that the same wish told twice is one run.
    business_key text not null unique,
    requested_by_login text not null,
    requested_by_id bigint not null,
    requested_by_bot boolean not null,
    instructions text not null default '',
    state text not null default 'queued' check (state in ('queued', 'waiting', 'working', 'finished')),
    step text check (step in ('authorise', 'slot', 'clone', 'prompt', 'launch', 'agent', 'collect', 'publish', 'settle')),
    outcome text check (outcome in ('pull_request_open', 'review_posted', 'answer_posted', 'no_change', 'checks_failed',
        'refused', 'budget_spent', 'cancelled', 'lost', 'failed')),
    cause text,
    attempt integer not null default 1 check (attempt >= 1),
    -- Guard of the projection within the attempt: only a greater one moves the state.
    state_seq bigint not null default 0,
    branch text,
    base_sha text,
    head_sha text,
    pr_number bigint,
    comment_id bigint,
    -- The runs that led to this one, oldest first.
    cause_chain jsonb not null default '[]',
    created_at timestamptz not null,
    started_at timestamptz,
    finished_at timestamptz,
    deadline_at timestamptz,
    constraint runs_end_has_an_outcome check ((state = 'finished') = (outcome is not null)),
    constraint runs_end_has_a_time check ((state = 'finished') = (finished_at is not null))
);
create unique index runs_one_active_per_subject on runs (repository_id, subject_kind, subject_number)
    where state <> 'finished';
create index runs_subject on runs (repository_id, subject_kind, subject_number, created_at desc, id desc);
create index runs_pull_request on runs (repository_id, pr_number) where pr_number is not null;
create index runs_project on runs (project_id, created_at desc, id desc);
create index runs_newest on runs (created_at desc, id desc);
create index runs_due on runs (deadline_at) where state <> 'finished';

create table attempts (
    run_id uuid not null references runs,
    attempt integer not null check (attempt >= 1),
    from_step text check (from_step in ('authorise', 'slot', 'clone', 'prompt', 'launch', 'agent', 'collect', 'publish', 'settle')),
    job_state text not null default 'none' check (job_state in ('none', 'launching', 'running', 'ended')),
    job_name text,
    job_heartbeat_at timestamptz,
    -- Who asked for a retry, and what makes the same wish told twice one attempt. The first attempt's are the run's.
    business_key text unique,
    requested_by_login text,
    requested_by_id bigint,
    requested_by_bot boolean,
    -- SHA-256 of the run token; the token itself is stored nowhere.
    token_hash bytea,
    cancel_requested_at timestamptz,
    report jsonb,
    workspace_blob text,
    result_blob text,
    prompt text,
    outcome text check (outcome in ('pull_request_open', 'review_posted', 'answer_posted', 'no_change', 'checks_failed',
        'refused', 'budget_spent', 'cancelled', 'lost', 'failed')),
    cause text,
    started_at timestamptz not null,
    finished_at timestamptz,
    primary key (run_id, attempt)
);
create unique index attempts_token on attempts (token_hash) where token_hash is not null;
create index attempts_jobs_at_work on attempts (job_heartbeat_at) where job_state in ('launching', 'running');

create table steps (
    run_id uuid not null,
    attempt integer not null,
    step text not null check (step in ('authorise', 'slot', 'clone', 'prompt', 'launch', 'agent', 'collect', 'publish', 'settle')),
    tries integer not null default 1,
    state text not null check (state in ('running', 'done', 'failed', 'skipped')),
    output jsonb,
    error text,
    started_at timestamptz not null,
    finished_at timestamptz,
    primary key (run_id, attempt, step),
    foreign key (run_id, attempt) references attempts
);

create table log_chunks (
    run_id uuid not null,
    attempt integer not null,
    seq bigint not null,
    at timestamptz not null,
    stream text not null check (stream in ('codex', 'codex_stderr', 'check', 'runner')),
    text text not null,
    primary key (run_id, attempt, seq),
    foreign key (run_id, attempt) references attempts
);

create table model_calls (
    id uuid primary key,
    run_id uuid not null,
    attempt integer not null,
    started_at timestamptz not null,
    finished_at timestamptz,
    status integer,
    input_tokens bigint not null default 0,
    cached_input_tokens bigint not null default 0,
    output_tokens bigint not null default 0,
    reasoning_output_tokens bigint not null default 0,
    foreign key (run_id, attempt) references attempts
);
create index model_calls_attempt on model_calls (run_id, attempt);

create table run_histories (
    run_id uuid not null,
    attempt integer not null,
    blob text not null,
    events integer not null,
    archived_at timestamptz not null,
    primary key (run_id, attempt),
    foreign key (run_id, attempt) references attempts
);

-- One claim a run. The ticket gives the order in which slots are granted.
create table slot_claims (
    run_id uuid primary key references runs,
    attempt integer not null,
    project_id uuid not null references projects,
    ticket bigint generated always as identity,
    requested_at timestamptz not null,
    granted_at timestamptz,
    released_at timestamptz
);
create index slot_claims_project on slot_claims (project_id, ticket) where released_at is null;
-- For the foreign key: released claims are kept.
create index slot_claims_project_all on slot_claims (project_id);
