-- Projects, the repositories they connect, and what is needed to talk to them.

create table projects (
    id uuid primary key,
    slug text not null unique check (slug <> ''),
    slots integer not null default 3 check (slots >= 0),
    settings jsonb not null default '{}',
    created_at timestamptz not null default now()
);

-- The sealed bytes are opened by the worker only.
create table credentials (
    id uuid primary key,
    kind text not null check (kind in ('token')),
    key_id text not null,
    sealed bytea not null,
    login text,
    created_at timestamptz not null default now(),
    revoked_at timestamptz
);

create table repositories (
    id uuid primary key,
    project_id uuid not null references projects,
    forge_repo_id bigint not null unique,
    owner text not null,
    name text not null,
    default_branch text not null,
    private boolean not null,
    archived boolean not null default false,
    credential_id uuid references credentials,
    -- services.yaml of the default branch as it was last read; an unreadable one leaves the last good one in place.
    config jsonb,
    config_sha text,
    config_error text,
    created_at timestamptz not null default now()
);
create unique index repositories_full_name on repositories (lower(owner), lower(name));
create index repositories_project on repositories (project_id);
create index repositories_credential on repositories (credential_id);

-- The secrets are sealed under the gateway's own key: opaque here.
create table hooks (
    id uuid primary key,
    forge_hook_id bigint not null unique,
    repository_id uuid references repositories,
    secret_current bytea not null,
    secret_previous bytea,
    created_at timestamptz not null default now()
);
create index hooks_repository on hooks (repository_id);

-- Pacing of writes, one row a credential: its lock is the only one taken. `refilled_at` is when the burst is whole again.
create table write_pacing (
    credential_id uuid primary key references credentials,
    taken bigint not null default 0,
    refilled_at timestamptz not null
);

-- The last writes of a credential, numbered: the 80th and the 500th before the next decide when it may go out.
create table write_takes (
    credential_id uuid not null references write_pacing,
    n bigint not null,
    at timestamptz not null,
    primary key (credential_id, n)
);
