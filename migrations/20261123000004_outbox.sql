-- Commands for the workflow engine: written with the facts that cause them, delivered afterwards in order.

-- One row a workflow. Its lock orders the commands, its lease says who delivers them.
create table engine_queues (
    workflow_id text primary key,
    next_seq bigint not null,
    lease_owner uuid,
    lease_until timestamptz
);

create table engine_commands (
    -- Also the request id by which the engine knows a command that comes twice.
    id uuid primary key,
    workflow_id text not null references engine_queues,
    seq bigint not null,
    kind text not null check (kind in ('start', 'signal', 'cancel')),
    run_id uuid not null references runs,
    attempt integer not null,
    -- Name of the signal, or type of the workflow that is started.
    name text,
    payload jsonb not null,
    state text not null default 'pending' check (state in ('pending', 'done', 'dropped', 'failed', 'stale')),
    tries integer not null default 0,
    -- A try has begun and nothing was heard of it yet.
    under_way boolean not null default false,
    -- An earlier try ended without anybody knowing for certain that the engine did not take it.
    in_doubt boolean not null default false,
    next_try_at timestamptz not null,
    last_error text,
    created_at timestamptz not null,
    ended_at timestamptz,
    constraint engine_commands_order unique (workflow_id, seq),
    constraint engine_commands_signal_has_a_name check (kind <> 'signal' or name is not null)
);
create index engine_commands_pending on engine_commands (next_try_at) where state = 'pending';
create index engine_commands_head on engine_commands (workflow_id, seq) where state = 'pending';
create index engine_commands_run on engine_commands (run_id);
