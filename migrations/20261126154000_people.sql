-- People who may sign in, what they may do, and what keeps them signed in.

create table people (
    id uuid primary key,
    -- Who is on the list may sign in; nobody registers.
    email text not null unique check (email = lower(email) and email like '%_@_%'),
    -- GitHub's number of the account, bound at the first sign-in: login and e-mail can change hands, this can't.
    github_id bigint unique,
    login text,
    name text,
    role text not null default 'none' check (role in ('owner', 'admin', 'none')),
    -- None: as the browser asks for it.
    language text check (language in ('en', 'ru')),
    theme text not null default 'system' check (theme in ('system', 'light', 'dark')),
    disabled_at timestamptz,
    created_at timestamptz not null,
    signed_in_at timestamptz
);

create table project_members (
    project_id uuid not null references projects,
    person_id uuid not null references people,
    role text not null check (role in ('admin', 'write', 'read')),
    added_at timestamptz not null,
    primary key (project_id, person_id)
);
create index project_members_person on project_members (person_id);

-- One sign-in of one browser: the family of its refresh tokens.
create table sessions (
    id uuid primary key,
    person_id uuid not null references people,
    user_agent text,
    created_at timestamptz not null,
    last_used_at timestamptz not null,
    expires_at timestamptz not null,
    revoked_at timestamptz,
    revoked_why text,
    constraint sessions_end_has_a_reason check ((revoked_at is null) = (revoked_why is null))
);
create index sessions_person on sessions (person_id, last_used_at desc, id desc);
create index sessions_expired on sessions (expires_at);

-- Refresh tokens, hashed. A used one stays, so that its later use shows that somebody has a copy. Two tabs that refresh at once get
-- one each of the same generation; when one of a generation is used, all of it is.
create table session_tokens (
    hash bytea primary key,
    session_id uuid not null references sessions on delete cascade,
    generation integer not null check (generation >= 0),
    issued_at timestamptz not null,
    used_at timestamptz
);
create index session_tokens_session on session_tokens (session_id, generation);

-- Answers of GitHub that were taken: the same one is not taken twice.
create table spent_sign_ins (
    state_hash bytea primary key,
    expires_at timestamptz not null
);
create index spent_sign_ins_expired on spent_sign_ins (expires_at);

-- Keys of access tokens. The private half is sealed under the gateway's own key: opaque here.
create table signing_keys (
    kid text primary key,
    public bytea not null,
    sealed bytea not null,
    not_before timestamptz not null,
    -- When the last token of it is dead; none while it signs.
    retire_at timestamptz
);
create unique index signing_keys_one_signs on signing_keys ((true)) where retire_at is null;

create table api_tokens (
    id uuid primary key,
    person_id uuid not null references people,
    name text not null check (name <> ''),
    hash bytea not null unique,
    scopes text[] not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    last_used_at timestamptz,
    revoked_at timestamptz
);
create index api_tokens_person on api_tokens (person_id, created_at desc, id desc);

-- What a write answered, so that the same wish sent again gets the same answer.
create table idempotency_keys (
    person_id uuid not null references people,
    key text not null,
    request_hash bytea not null,
    status integer not null,
    body jsonb not null,
    created_at timestamptz not null,
    primary key (person_id, key)
);
create index idempotency_keys_created on idempotency_keys (created_at);
