-- Two kinds of credentials, and connecting a repository as a workflow of its own.

-- What the sealed bytes hold: the token itself, or a GitHub App's id and private key.
alter table credentials drop constraint credentials_kind_check;
alter table credentials add constraint credentials_kind_check check (kind in ('token', 'app'));
-- As the forge last told; none if it told none.
alter table credentials add column expires_at timestamptz;
create index credentials_key on credentials (key_id);

-- One request to connect a repository, or to check a credential's rights on it; the workflow is given this id alone.
create table connections (
    id uuid primary key,
    purpose text not null check (purpose in ('connect', 'check')),
    project_id uuid not null references projects,
    credential_id uuid not null references credentials,
    owner text not null check (owner <> ''),
    name text not null check (name <> ''),
    repository_id uuid references repositories,
    -- The hook to be made: our id of it, to which the secret under the gateway's key is bound, and where it delivers to.
    hook_id uuid,
    hook_url text,
    hook_secret bytea,
    -- A second copy of the secret that the worker opens; gone once the hook exists.
    hook_key_id text,
    hook_secret_sealed bytea,
    state text not null default 'waiting' check (state in ('waiting', 'working', 'done', 'failed')),
    step text check (step in ('rights', 'repository', 'hook', 'settings')),
    -- One sentence: what is being waited for, or how it ended.
    message text,
    rights jsonb,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    finished_at timestamptz,
    constraint connections_make_a_hook check ((purpose = 'connect') = (hook_id is not null and hook_url is not null
        and hook_secret is not null)),
    constraint connections_copy_has_a_key check ((hook_key_id is null) = (hook_secret_sealed is null)),
    constraint connections_end_has_a_time check ((state in ('done', 'failed')) = (finished_at is not null))
);
create unique index connections_one_at_a_time on connections (lower(owner), lower(name))
    where purpose = 'connect' and state in ('waiting', 'working');
create index connections_unfinished on connections (updated_at) where state in ('waiting', 'working');
create index connections_project on connections (project_id);
create index connections_credential on connections (credential_id);
create index connections_repository on connections (repository_id, created_at desc);
create index connections_sealed on connections (hook_key_id) where hook_key_id is not null;

-- A command drives a run or a connection.
alter table engine_commands alter column run_id drop not null;
alter table engine_commands alter column attempt drop not null;
alter table engine_commands add column connection_id uuid references connections;
alter table engine_commands add constraint engine_commands_about_one_thing check (num_nonnulls(run_id, connection_id) = 1
    and (run_id is null) = (attempt is null));
create index engine_commands_connection on engine_commands (connection_id) where connection_id is not null;
