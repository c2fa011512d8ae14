//! `POST /api/v1/repositories/{repository}/detach`

use axum::response::Response;
use domain::{ids::RepositoryId, people::ProjectRole};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    super::{
        body::{At, Sent},
        idempotency::{Begun, Wish},
        reasons,
        runs::{Running, account},
    },
    BegunConnection, asking, begun, found, refused,
};
use crate::{
    auth::{Caller, DoneTo},
    connecting::Detaching,
    problem::Problem,
};

/// How a repository is to be detached.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct DetachRepository {
    /// Stands in the audit.
    #[schema(max_length = 500)]
    reason: String,
    /// What becomes of the runs that are at work or wait. Those that go on keep the credential until they have ended.
    #[serde(default)]
    running: Running,
}

/// Detach a repository: nothing starts there from now on, its webhook goes, its credential is withdrawn if nothing else uses it
///
/// What was done there stays readable. It can be attached again.
#[utoipa::path(
    post, path = "/api/v1/repositories/{repository}/detach", tag = "repositories", request_body = DetachRepository,
    params(
        ("repository" = RepositoryId, Path, description = "Which."),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is done once.")
    ),
    responses((status = 202, description = "It has begun: read the connection.", body = BegunConnection))
)]
pub(in crate::api) async fn detach_repository(
    caller: Caller,
    headers: HeaderMap,
    At(id): At<RepositoryId>,
    Sent(wanted): Sent<DetachRepository>,
) -> Result<Response, Problem> {
    let repository = found(&caller, id, ProjectRole::Admin).await?;
    let reason = reasons::needed(&wanted.reason)?;
    let cancel_runs = wanted.running == Running::Cancel;
    let by = if cancel_runs { Some(account(&caller)?) } else { None };
    let detaching = Detaching { by: by.map(|by| (by.login, by.id)), reason: Some(reason.to_owned()), cancel_runs };
    let mut rng = rand::make_rng();
    let wish = Wish::read(&headers, &format!("detach_repository {id}"), &wanted)?;
    let mut writing = match wish.begin(&caller).await? {
        Begun::Answered(answer) => return Ok(answer),
        Begun::New(writing) => writing,
    };
    let conn = writing.conn();
    let connection = asking(&caller, &mut rng).detach(conn, id, &detaching).await.map_err(refused)?;
    let detail = json!({
        "repository": repository.full_name(), "connection": connection, "reason": reason, "running": wanted.running,
    });
    caller.audit_about(conn, "repository.detaching", detail, Some(DoneTo::Repository(id))).await?;
    begun(&caller, writing, connection).await
}
