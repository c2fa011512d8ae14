//! `GET /api/v1/repositories`

use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::{
    connection::CredentialKind,
    ids::RepositoryId,
    people::ProjectRole,
    sentences::{self, Coded},
};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use store::{
    connected::{self, Connected},
    members::{self, ProjectsPage},
};
use utoipa::{IntoParams, ToSchema};

use super::super::{body::Asked, etag::tagged};
use crate::{auth::Caller, problem::Problem};

/// Which repositories. What is left away does not matter.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct RepositoriesQuery {
    /// Short name of the project.
    project: Option<String>,
}

/// Connected repositories, by name.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Repositories {
    items: Vec<Repository>,
}

/// A connected repository and how it fares.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Repository {
    id: RepositoryId,
    /// `owner/name`
    full_name: String,
    /// Short name of its project.
    project: String,
    /// Nothing can be written to it.
    archived: bool,
    /// None if it has none. The credential itself is never shown.
    credential: Option<RepositoryCredential>,
    /// Whether a webhook of its own is registered.
    has_hook: bool,
    /// Whether its webhook has a new secret that GitHub may not know yet; the one before is good as well.
    secret_pending: bool,
    /// Why the log of its webhook at GitHub can't be read, where the last look failed: missed deliveries stay missed.
    hook_problem: Option<String>,
    /// The same by its code.
    hook_problem_coded: Option<Coded>,
    /// When a webhook about it last came.
    last_delivery_at: Option<DateTime<Utc>>,
    /// Whether it has a `services.yaml` that could be read.
    has_settings: bool,
    /// What is wrong with the newest one.
    settings_error: Option<String>,
    /// Since when it is detached; none if it is attached.
    detached_at: Option<DateTime<Utc>>,
}

/// What a repository is worked with.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct RepositoryCredential {
    kind: CredentialKind,
    /// Whom it acts as.
    login: Option<String>,
    /// When it ends, as GitHub last told.
    expires_at: Option<DateTime<Utc>>,
    /// GitHub no longer takes it.
    refused: bool,
}

impl From<Connected> for Repository {
    fn from(row: Connected) -> Self {
        let credential = row.credential.map(|credential| RepositoryCredential {
            kind: credential.kind,
            login: credential.login,
            expires_at: credential.expires_at,
            refused: credential.revoked_at.is_some(),
        });
        Self {
            id: row.repository,
            full_name: row.full_name,
            project: row.project,
            archived: row.archived,
            credential,
            has_hook: row.has_hook,
            secret_pending: row.secret_pending,
            hook_problem_coded: row.hook_problem.as_deref().and_then(sentences::read),
            hook_problem: row.hook_problem,
            detached_at: row.detached_at,
            last_delivery_at: row.last_delivery_at,
            has_settings: row.has_config,
            settings_error: row.config_error,
        }
    }
}

/// The connected repositories of the projects that you see, with what keeps them connected; and those that were detached
#[utoipa::path(
    get, path = "/api/v1/repositories", tag = "repositories", params(RepositoriesQuery),
    responses((status = 200, description = "All of them.", body = Repositories))
)]
pub(in crate::api) async fn list_repositories(
    caller: Caller,
    headers: HeaderMap,
    Asked(query): Asked<RepositoriesQuery>,
) -> Result<Response, Problem> {
    let only = match query.project {
        Some(slug) => Some(caller.on_project(&slug, ProjectRole::Read).await?.slug),
        None => None,
    };
    let mut conn = caller.store().acquire().await?;
    let all = ProjectsPage { person: caller.person().id, all: caller.sees_all(), after: None, limit: i64::MAX };
    let seen: Vec<String> = members::projects(&mut conn, all).await?.into_iter().map(|project| project.slug).collect();
    let rows = connected::list(&mut conn).await?.into_iter();
    let shown = rows.filter(|row| seen.contains(&row.project) && only.as_ref().is_none_or(|only| *only == row.project));
    Ok(tagged(&headers, &Repositories { items: shown.map(Repository::from).collect() }))
}
