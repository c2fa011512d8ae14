-- Deleting a project: a mark with a reason, never a DELETE. What was done in it stays readable for those who run the platform.

create table project_deletions (
    project_id uuid primary key references projects,
    -- Who asked, on the forge: in their name runs are cancelled.
    asked_by_login text not null,
    asked_by_id bigint not null,
    reason text not null check (reason <> ''),
    asked_at timestamptz not null,
    -- Which workflow is at it: a new one takes the place of one that was lost.
    attempt integer not null default 1 check (attempt >= 1),
    -- One sentence: what is being waited for.
    message text,
    updated_at timestamptz not null,
    ended_at timestamptz
);
create index project_deletions_unfinished on project_deletions (updated_at) where ended_at is null;

-- A command drives a run, a connection, or the deletion of a project.
alter table engine_commands add column project_id uuid references projects;
alter table engine_commands drop constraint engine_commands_about_one_thing;
alter table engine_commands add constraint engine_commands_about_one_thing check (
    num_nonnulls(run_id, connection_id, project_id) = 1 and (run_id is null) = (attempt is null)) not valid;
alter table engine_commands validate constraint engine_commands_about_one_thing;
create index engine_commands_project on engine_commands (project_id) where project_id is not null;
