//! `POST /api/v1/repositories/{repository}/detach`

use axum::Json;
use domain::{ids::RepositoryId, people::ProjectRole};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    super::{
        body::{At, Sent},
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
#[derive(Deserialize, ToSchema)]
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
    params(("repository" = RepositoryId, Path, description = "Which.")),
    responses((status = 202, description = "It has begun: read the connection.", body = BegunConnection))
)]
pub(in crate::api) async fn detach_repository(
    caller: Caller,
    At(id): At<RepositoryId>,
    Sent(wanted): Sent<DetachRepository>,
) -> Result<(StatusCode, Json<BegunConnection>), Problem> {
    let repository = found(&caller, id, ProjectRole::Admin).await?;
    let reason = reasons::needed(&wanted.reason)?;
    let cancel_runs = wanted.running == Running::Cancel;
    let by = if cancel_runs { Some(account(&caller)?) } else { None };
    let wish = Detaching { by: by.map(|by| (by.login, by.id)), reason: Some(reason.to_owned()), cancel_runs };
    let mut rng = rand::make_rng();
    let mut tx = caller.store().begin().await?;
    let connection = asking(&caller, &mut rng).detach(&mut tx, id, &wish).await.map_err(refused)?;
    let detail = json!({
        "repository": repository.full_name(), "connection": connection, "reason": reason, "running": wanted.running,
    });
    caller.audit_about(&mut tx, "repository.detaching", detail, Some(DoneTo::Repository(id))).await?;
    begun(&caller, tx, connection).await
}
