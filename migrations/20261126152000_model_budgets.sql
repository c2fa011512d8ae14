-- Budgets of model calls: what is used and reserved, and everything a call leaves behind.

-- Model gateways at work. What one that is gone had under way is booked by another.
create table model_gateways (
    id uuid primary key,
    seen_at timestamptz not null
);

-- What a run, a project's day or a project's month has used. A call reserves before it is made; its end turns that into what
-- was spent.
create table model_budgets (
    scope text not null check (scope in ('run', 'day', 'month')),
    -- The run; or the project and the day or month in UTC.
    key text not null,
    spent_tokens bigint not null default 0 check (spent_tokens >= 0),
    spent_nano_usd bigint not null default 0 check (spent_nano_usd >= 0),
    reserved_tokens bigint not null default 0 check (reserved_tokens >= 0),
    reserved_nano_usd bigint not null default 0 check (reserved_nano_usd >= 0),
    primary key (scope, key)
);

alter table attempts
    -- What its agent may ask of the model API; read by the domain. None: it was launched before there was one.
    add column model_policy jsonb;

alter table model_calls
    add column kind text not null default 'responses' check (kind in ('responses', 'embeddings')),
    add column model text,
    -- None: a call of before there were budgets, which reserved nothing.
    add column gateway_id uuid,
    add column reserved_input_tokens bigint not null default 0,
    add column reserved_output_tokens bigint not null default 0,
    -- None: the model has no price.
    add column reserved_nano_usd bigint,
    add column provider text,
    -- Which key was used, by its name in the configuration; never the key.
    add column key_id text,
    -- How often it was sent.
    add column tries integer not null default 0,
    -- How long it waited for the provider's limits or for room in the budget.
    add column waited_ms bigint not null default 0,
    add column first_byte_at timestamptz,
    -- What it cost; none: the model has no price.
    add column nano_usd bigint,
    -- It ended without telling what it used; what it had reserved counts.
    add column estimated boolean not null default false,
    -- Why we ended it of our own accord.
    add column stopped text check (stopped in ('budget', 'not_allowed', 'unpriced', 'unserved', 'output_cut')),
    add column problem text,
    -- Where what was said is kept, if the project wants that.
    add column bodies_blob text,
    add constraint model_calls_stop_has_a_problem check ((stopped is null) = (problem is null));
create index model_calls_open on model_calls (gateway_id) where finished_at is null;
