//! `POST /api/v1/repositories/{repository}/rotate`

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
    },
    BegunConnection, asking, begun, found, refused, sealing,
};
use crate::{
    auth::{Caller, DoneTo},
    connecting::RotateRequest,
    problem::Problem,
};

/// Why the secret is renewed.
#[derive(Serialize, Deserialize, ToSchema)]
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
    params(
        ("repository" = RepositoryId, Path, description = "Which."),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is done once.")
    ),
    responses((status = 202, description = "It has begun: read the connection.", body = BegunConnection))
)]
pub(in crate::api) async fn rotate_secret(
    caller: Caller,
    headers: HeaderMap,
    At(id): At<RepositoryId>,
    Sent(why): Sent<RotateSecret>,
) -> Result<Response, Problem> {
    let repository = found(&caller, id, ProjectRole::Admin).await?;
    let reason = reasons::optional(why.reason.as_deref())?;
    let (keys, public_url) = sealing(&caller)?;
    let mut rng = rand::make_rng();
    let platform_secret = Some(&caller.app().webhook_secrets().current);
    let request = RotateRequest { repository: id, public_url, platform_secret };
    let wish = Wish::read(&headers, &format!("rotate_secret {id}"), &why)?;
    let mut writing = match wish.begin(&caller).await? {
        Begun::Answered(answer) => return Ok(answer),
        Begun::New(writing) => writing,
    };
    let conn = writing.conn();
    let connection = asking(&caller, &mut rng).rotate(conn, &keys, &request).await.map_err(refused)?;
    let detail = json!({"repository": repository.full_name(), "connection": connection, "reason": reason});
    caller.audit_about(conn, "repository.rotating", detail, Some(DoneTo::Repository(id))).await?;
    begun(&caller, writing, connection).await
}
