-- Detaching a repository, and giving its webhook a new secret: what is done to a connection later.

alter table repositories add column detached_at timestamptz;
-- A repository is attached once. One that was detached may be attached by another project, which gets a row of its own: what was
-- done there before stays with those who did it.
create unique index repositories_attached on repositories (forge_repo_id) where detached_at is null;
create unique index repositories_of_project on repositories (forge_repo_id, project_id);
alter table repositories drop constraint repositories_forge_repo_id_key;
drop index repositories_full_name;
create unique index repositories_full_name on repositories (lower(owner), lower(name)) where detached_at is null;

-- One that has none is detached as well.
alter table connections alter column credential_id drop not null;
alter table connections
    -- Who asked, on the forge; none: the command line.
    add column asked_by_login text,
    add column asked_by_id bigint,
    add column reason text,
    -- Whether the runs at work are asked to end.
    add column cancel_runs boolean not null default false,
    add constraint connections_asker_is_whole check ((asked_by_login is null) = (asked_by_id is null)),
    add constraint connections_cancel_has_an_asker check (not cancel_runs or asked_by_id is not null),
    add constraint connections_has_a_credential check (credential_id is not null or purpose = 'detach');
alter table connections drop constraint connections_purpose_check;
alter table connections add constraint connections_purpose_check
    check (purpose in ('connect', 'check', 'rotate', 'detach'));
alter table connections drop constraint connections_step_check;
alter table connections add constraint connections_step_check check (step in ('rights', 'repository', 'hook', 'settings', 'secret',
    'schedules', 'unhook', 'runs', 'withdraw'));
alter table connections drop constraint connections_make_a_hook;
alter table connections add constraint connections_make_a_hook check ((purpose in ('connect', 'rotate'))
    = (hook_id is not null and hook_url is not null and hook_secret is not null));
drop index connections_one_at_a_time;
create unique index connections_one_at_a_time on connections (lower(owner), lower(name))
    where purpose <> 'check' and state in ('waiting', 'working');
