//! `POST /api/v1/repositories/{repository}/check`

use axum::Json;
use domain::{ids::RepositoryId, people::ProjectRole, workflow_id};
use http::StatusCode;
use store::{StoreError, repositories};

use super::{super::body::At, BegunConnection, refused};
use crate::{auth::Caller, connecting::Asking, problem::Problem};

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
    let found = repositories::get(&mut *caller.store().acquire().await?, id).await;
    let repository = match found {
        Err(StoreError::Missing { .. }) => return Err(no_repository()),
        found => found?,
    };
    caller.in_project(repository.project, ProjectRole::Write, no_repository).await?;
    let mut rng: rand::rngs::StdRng = rand::make_rng();
    let mut asking =
        Asking { store: caller.store(), instance: caller.app().instance(), rng: &mut rng, now: caller.now() };
    let connection = asking.check(&repository.full_name()).await.map_err(refused)?;
    caller.app().dispatcher().spawn(workflow_id::connect_repository(caller.app().instance(), connection));
    Ok((StatusCode::ACCEPTED, Json(BegunConnection { connection })))
}

fn no_repository() -> Problem {
    let detail = "there is no such repository, or you are no member of its project";
    Problem::new(StatusCode::NOT_FOUND, "repository_not_found", detail)
}
