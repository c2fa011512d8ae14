//! `GET /api/v1/repositories/{repository}/agents/{agent}/versions`

use axum::response::Response;
use domain::{ids::RepositoryId, people::ProjectRole, sentences, services_yaml::AgentName};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use store::agent_versions::{self, AgentVersion};
use utoipa::ToSchema;

use super::{
    super::{body::At, etag::tagged, repositories},
    Version,
};
use crate::{auth::Caller, problem::Problem};

/// So many are shown, the newest ones.
const MAX: i64 = 50;

/// The versions of an agent, the newest first.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct AgentVersions {
    items: Vec<FullVersion>,
}

/// A version of an agent with what stays the same in its prompts.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct FullVersion {
    what: Version,
    /// The built-in template, with its places as they are, and the project's own words.
    prompt: String,
}

impl From<AgentVersion> for FullVersion {
    fn from(row: AgentVersion) -> Self {
        let prompt = row.definition.prompt.clone();
        Self { what: row.into(), prompt }
    }
}

/// What an agent of a repository is and was: its versions with their prompts
///
/// A run works by the version that the settings at its own base make; a new version never changes a run that has begun.
#[utoipa::path(
    get, path = "/api/v1/repositories/{repository}/agents/{agent}/versions", tag = "agents",
    params(
        ("repository" = RepositoryId, Path, description = "Whose agent."),
        ("agent" = String, Path, description = "Its name.")
    ),
    responses((status = 200, description = "The newest 50.", body = AgentVersions))
)]
pub(in crate::api) async fn list_versions(
    caller: Caller,
    headers: HeaderMap,
    At((id, agent)): At<(RepositoryId, AgentName)>,
) -> Result<Response, Problem> {
    repositories::found(&caller, id, ProjectRole::Read).await?;
    let rows = agent_versions::list(&mut *caller.store().acquire().await?, id, &agent, MAX).await?;
    if rows.is_empty() {
        let detail = sentences::agent_not_found();
        return Err(Problem::new(StatusCode::NOT_FOUND, "agent_not_found", detail));
    }
    let items = rows.into_iter().map(FullVersion::from).collect();
    Ok(tagged(&headers, &AgentVersions { items }))
}
