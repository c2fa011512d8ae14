-- What each role was told at its start, as far as it matters to people: the newest start of the role counts. Never a secret.
create table role_settings (
    role text primary key check (role in ('gateway', 'worker', 'model-gateway')),
    told jsonb not null,
    at timestamptz not null
);
