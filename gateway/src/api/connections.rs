//! `GET /api/v1/connections/{connection}`

use axum::response::Response;
use domain::{
    connection::{ConnectionPurpose, ConnectionState, ConnectionStep},
    ids::{ConnectionId, RepositoryId},
    people::ProjectRole,
    rights::{Right, RightCheck},
    sentences::{self, Coded},
};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use store::{StoreError, connections};
use utoipa::ToSchema;

use super::{body::At, etag::tagged};
use crate::{auth::Caller, problem::Problem};

/// A repository that is being attached, or whose rights are looked at.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Connection {
    id: ConnectionId,
    purpose: ConnectionPurpose,
    /// `owner/name`, as it was asked for.
    full_name: String,
    state: ConnectionState,
    /// The step that was begun last.
    step: Option<ConnectionStep>,
    /// What it waits for, or how it ended, as a sentence.
    message: Option<String>,
    /// The same by its code.
    message_coded: Option<Coded>,
    /// The repository, once it is known.
    repository: Option<RepositoryId>,
    /// Every right that is needed; empty before they were looked at.
    rights: Vec<CheckedRight>,
}

/// A right that is needed.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct CheckedRight {
    right: Right,
    /// As GitHub's pages call it.
    title: &'static str,
    /// As GitHub's pages call the level.
    level: &'static str,
    /// What it is needed for.
    purpose: &'static str,
    /// The same by its code.
    purpose_coded: Option<Coded>,
    held: bool,
    /// Where to grant it; none if it is held.
    remedy: Option<String>,
    /// The same by its code.
    remedy_coded: Option<Coded>,
}

impl From<RightCheck> for CheckedRight {
    fn from(check: RightCheck) -> Self {
        let RightCheck { right, held, remedy } = check;
        Self {
            right,
            title: right.title(),
            level: right.level(),
            purpose: right.purpose(),
            purpose_coded: sentences::read(right.purpose()),
            held,
            remedy_coded: remedy.as_deref().and_then(sentences::read),
            remedy,
        }
    }
}

/// How the attaching of a repository, or a look at its rights, goes
#[utoipa::path(
    get, path = "/api/v1/connections/{connection}", tag = "repositories",
    params(("connection" = ConnectionId, Path, description = "Which.")),
    responses((status = 200, description = "The connection.", body = Connection))
)]
pub(in crate::api) async fn read_connection(
    caller: Caller,
    headers: HeaderMap,
    At(id): At<ConnectionId>,
) -> Result<Response, Problem> {
    let found = match connections::get(&mut *caller.store().acquire().await?, id).await {
        Err(StoreError::Missing { .. }) => return Err(no_connection()),
        found => found?,
    };
    caller.in_project(found.project, ProjectRole::Write, no_connection).await?;
    let connection = Connection {
        id,
        purpose: found.purpose,
        full_name: format!("{}/{}", found.owner, found.name),
        state: found.state,
        step: found.step,
        message_coded: found.message.as_deref().and_then(sentences::read),
        message: found.message,
        repository: found.repository,
        rights: found.rights.unwrap_or_default().into_iter().map(CheckedRight::from).collect(),
    };
    Ok(tagged(&headers, &connection))
}

fn no_connection() -> Problem {
    let detail = sentences::connection_not_found();
    Problem::new(StatusCode::NOT_FOUND, "connection_not_found", detail)
}
