-- Schedules of projects' settings.

alter table runs drop constraint runs_trigger_kind_check;
alter table runs add constraint runs_trigger_kind_check
    check (trigger_kind in ('label', 'command', 'review', 'checks', 'manual', 'schedule'));

alter table write_intents drop constraint write_intents_kind_check;
alter table write_intents add constraint write_intents_kind_check
    check (kind in ('comment', 'label', 'push', 'pull_request', 'review', 'status', 'issue'));

-- What the engine was told, so that it can be told when a schedule is gone from the settings.
create table project_schedules (
    repository_id uuid not null references repositories,
    name text not null check (name <> ''),
    -- Cron line and zone that the engine has; none while it is being told.
    definition text,
    told_at timestamptz not null,
    primary key (repository_id, name)
);
