//! `POST /api/v1/repositories/{repository}/check`

use axum::Json;
use domain::{ids::RepositoryId, people::ProjectRole};
use http::StatusCode;

use super::{super::body::At, BegunConnection, asking, begun, found, refused};
use crate::{auth::Caller, problem::Problem};

/// Look once more at every right of a repository's credential
#[utoipa::path(
    post, path = "/api/v1/repositories/{repository}/check", tag = "repositories",
    params(("repository" = RepositoryId, Path, description = "Which.")),
    responses((status = 202, description = "It has begun: read the connection.", body = BegunConnection))
)]
pub(in crate::api) async fn check_repository(
    caller: Caller,
    At(id): At<RepositoryId>,
) -> Result<(StatusCode, Json<BegunConnection>), Problem> {
    let repository = found(&caller, id, ProjectRole::Write).await?;
    let mut rng = rand::make_rng();
    let mut tx = caller.store().begin().await?;
    let connection = asking(&caller, &mut rng).check(&mut tx, &repository.full_name()).await.map_err(refused)?;
    begun(&caller, tx, connection).await
}
