-- Pauses: what would start is written down and not started.

create table pauses (
    id uuid primary key,
    -- Of this project; none: of all.
    project_id uuid references projects,
    -- Of the agent of this name; none: of all.
    agent text check (agent <> ''),
    reason text not null check (reason <> ''),
    begun_by uuid not null references people,
    begun_at timestamptz not null,
    ended_by uuid references people,
    ended_at timestamptz,
    constraint pauses_end_has_a_person check ((ended_by is null) = (ended_at is null))
);
-- The same thing is paused once.
create unique index pauses_one_at_a_time on pauses (coalesce(project_id, '00000000-0000-0000-0000-000000000000'),
    coalesce(agent, '')) where ended_at is null;
create index pauses_project on pauses (project_id);
create index pauses_begun_by on pauses (begun_by);
create index pauses_ended_by on pauses (ended_by);

alter table deliveries drop constraint deliveries_verdict_check;
alter table deliveries add constraint deliveries_verdict_check check (verdict in ('started', 'signalled', 'duplicate', 'no_rule',
    'repository_unknown', 'loop_guard', 'two_agent_labels', 'already_working', 'archived', 'echo', 'cancelled_before_start',
    'nothing_to_cancel', 'nothing_to_retry', 'config_refresh', 'repository_updated', 'ignored', 'paused')) not valid;
alter table deliveries validate constraint deliveries_verdict_check;
drop index deliveries_held;
create index deliveries_held on deliveries (received_at desc)
    where verdict in ('repository_unknown', 'two_agent_labels', 'paused');
