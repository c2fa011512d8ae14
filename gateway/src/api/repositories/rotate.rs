//! `POST /api/v1/repositories/{repository}/rotate`

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
    },
    BegunConnection, asking, begun, found, refused, sealing,
};
use crate::{
    auth::{Caller, DoneTo},
    connecting::RotateRequest,
    problem::Problem,
};

/// Why the secret is renewed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct RotateSecret {
    /// Stands in the audit.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// Give the webhook of a repository a new secret: both are good until GitHub knows the new one
///
/// It is made here and told to nobody but GitHub. One whose renewing broke off is told once more, and no third one is made.
#[utoipa::path(
    post, path = "/api/v1/repositories/{repository}/rotate", tag = "repositories", request_body = RotateSecret,
    params(("repository" = RepositoryId, Path, description = "Which.")),
    responses((status = 202, description = "It has begun: read the connection.", body = BegunConnection))
)]
pub(in crate::api) async fn rotate_secret(
    caller: Caller,
    At(id): At<RepositoryId>,
    Sent(why): Sent<RotateSecret>,
) -> Result<(StatusCode, Json<BegunConnection>), Problem> {
    let repository = found(&caller, id, ProjectRole::Admin).await?;
    let reason = reasons::optional(why.reason.as_deref())?;
    let (keys, public_url) = sealing(&caller)?;
    let mut rng = rand::make_rng();
    let platform_secret = Some(&caller.app().webhook_secrets().current);
    let request = RotateRequest { repository: id, public_url, platform_secret };
    let mut tx = caller.store().begin().await?;
    let connection = asking(&caller, &mut rng).rotate(&mut tx, &keys, &request).await.map_err(refused)?;
    let detail = json!({"repository": repository.full_name(), "connection": connection, "reason": reason});
    caller.audit_about(&mut tx, "repository.rotating", detail, Some(DoneTo::Repository(id))).await?;
    begun(&caller, tx, connection).await
}
