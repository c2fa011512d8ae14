-- Deliveries that came another way than by a webhook, and what is known of each hook's delivery log at the forge.

alter table deliveries add column source text not null default 'webhook'
    check (source in ('webhook', 'read_back', 'schedule', 'manual'));

-- A hook without a secret of its own is signed with the platform's.
alter table hooks alter column secret_current drop not null;
alter table hooks
    -- Since when somebody knows of deliveries that may have been missed.
    add column look_wanted_at timestamptz,
    -- The forge asked to be left alone until then.
    add column look_not_before timestamptz,
    add column looked_at timestamptz,
    -- The newest delivery of the last look that read everything, and the log's entity tag then.
    add column log_read_until timestamptz,
    add column log_etag text,
    -- Why the last look failed.
    add column look_problem text;

-- The last time that each reconciler ran, and what it found.
create table reconcilers (
    name text primary key,
    started_at timestamptz not null,
    ended_at timestamptz,
    finding text,
    error text
);
