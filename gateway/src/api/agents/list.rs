//! `GET /api/v1/projects/{project}/agents`

use axum::response::Response;
use domain::{
    agents,
    ids::RepositoryId,
    people::ProjectRole,
    sentences::{self, Coded},
    services_yaml::{AgentName, ServicesYaml},
    triggers::Starters,
};
use http::HeaderMap;
use serde::Serialize;
use store::{
    agent_versions::{self, AgentVersion},
    pauses,
    repositories::{self, Repository},
};
use utoipa::ToSchema;

use super::{
    super::{body::At, etag::tagged},
    Version,
};
use crate::{auth::Caller, problem::Problem};

/// The agents of a project, by repository and name.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Agents {
    items: Vec<Agent>,
}

/// An agent of a repository.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Agent {
    repository: RepositoryId,
    /// `owner/name` of the repository.
    full_name: String,
    name: String,
    /// Whether the repository's `services.yaml` says something about it; else it is as the platform brings it.
    own: bool,
    /// What it is now; none until a worker has looked at it.
    newest: Option<Version>,
    /// What starts it, beside people who start it by hand.
    starters: AgentStarters,
    /// What is paused, by whom and why, if runs of it are held back.
    paused: Option<String>,
    /// The same by its code.
    paused_coded: Option<Coded>,
}

/// What starts an agent.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct AgentStarters {
    /// Labels on an issue.
    labels: Vec<String>,
    /// Labels on a pull request.
    pull_request_labels: Vec<String>,
    /// Whether `/run <agent>` in a comment does.
    command: bool,
    /// Names of schedules.
    schedules: Vec<String>,
}

/// The agents of a project's attached repositories: model, bounds, what starts them, and their newest version
#[utoipa::path(
    get, path = "/api/v1/projects/{project}/agents", tag = "agents",
    params(("project" = String, Path, description = "Short name of the project.")),
    responses((status = 200, description = "All of them.", body = Agents))
)]
pub(in crate::api) async fn list_agents(
    caller: Caller,
    headers: HeaderMap,
    At(slug): At<String>,
) -> Result<Response, Problem> {
    let project = caller.on_project(&slug, ProjectRole::Read).await?;
    let mut conn = caller.store().acquire().await?;
    let mut newest = agent_versions::newest_in(&mut conn, project.id).await?;
    let pauses = pauses::holding(&mut conn, project.id).await?;
    let mut items = Vec::new();
    for repository in repositories::of_project(&mut conn, project.id).await? {
        let config = settings(&repository);
        for name in agents::names(&config) {
            let paused = domain::pauses::holding(&pauses, &name).map(domain::pauses::Pause::sentence);
            let newest = take(&mut newest, repository.id, &name).map(Version::from);
            items.push(Agent {
                repository: repository.id,
                full_name: repository.full_name(),
                own: config.agents.contains_key(&name),
                newest,
                starters: starters(&config, &name),
                paused_coded: paused.as_deref().and_then(sentences::read),
                paused,
                name: name.into(),
            });
        }
    }
    Ok(tagged(&headers, &Agents { items }))
}

/// Those that hold until others are read.
fn settings(repository: &Repository) -> ServicesYaml {
    repository.config.clone().and_then(|config| serde_json::from_value(config).ok()).unwrap_or_default()
}

fn take(all: &mut Vec<AgentVersion>, repository: RepositoryId, agent: &AgentName) -> Option<AgentVersion> {
    let place = all.iter().position(|row| row.repository == repository && row.agent == *agent)?;
    Some(all.swap_remove(place))
}

fn starters(config: &ServicesYaml, agent: &AgentName) -> AgentStarters {
    let Starters { labels, pull_request_labels, command, schedules } = Starters::of(config, agent);
    AgentStarters { labels, pull_request_labels, command, schedules }
}
