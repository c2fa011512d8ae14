//! `POST /api/v1/repositories/{repository}/check`

use axum::response::Response;
use domain::{ids::RepositoryId, people::ProjectRole};
use http::HeaderMap;

use super::{
    super::{
        body::At,
        idempotency::{Begun, Wish},
    },
    BegunConnection, asking, begun, found, refused,
};
use crate::{auth::Caller, problem::Problem};

/// Look once more at every right of a repository's credential
#[utoipa::path(
    post, path = "/api/v1/repositories/{repository}/check", tag = "repositories",
    params(
        ("repository" = RepositoryId, Path, description = "Which."),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is done once.")
    ),
    responses((status = 202, description = "It has begun: read the connection.", body = BegunConnection))
)]
pub(in crate::api) async fn check_repository(
    caller: Caller,
    headers: HeaderMap,
    At(id): At<RepositoryId>,
) -> Result<Response, Problem> {
    let repository = found(&caller, id, ProjectRole::Write).await?;
    let mut rng = rand::make_rng();
    let mut writing = match Wish::read(&headers, &format!("check_repository {id}"), &())?.begin(&caller).await? {
        Begun::Answered(answer) => return Ok(answer),
        Begun::New(writing) => writing,
    };
    let connection = asking(&caller, &mut rng).check(writing.conn(), &repository.full_name()).await.map_err(refused)?;
    begun(&caller, writing, connection).await
}
