-- Versions of agents, as the settings of repositories made them; and which one an attempt worked by.

create table agent_versions (
    repository_id uuid not null references repositories,
    agent text not null check (agent <> ''),
    version integer not null check (version >= 1),
    -- Template, model, bounds: what the agent's work depends on.
    definition jsonb not null,
    -- The commit whose settings made it, as far as one is known.
    sha text,
    at timestamptz not null,
    primary key (repository_id, agent, version)
);

alter table attempts add column agent_version integer;
