//! `GET /api/v1/runs/{run}/attempts/{attempt}/diff`

use axum::response::Response;
use domain::{
    ids::{Attempt, RunId},
    people::ProjectRole,
    sentences,
};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use store::{StoreError, blobs::BlobKey};
use utoipa::ToSchema;

use super::{
    super::{body::At, etag::tagged},
    of_attempt,
};
use crate::{auth::Caller, problem::Problem};

/// What an attempt changed.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Diff {
    /// Against the commit that it began with, as git writes it. What looks like a secret is taken out, and a long one is cut.
    diff: String,
}

/// What the agent changed, published or not
#[utoipa::path(
    get, path = "/api/v1/runs/{run}/attempts/{attempt}/diff", tag = "runs",
    params(("run" = RunId, Path, description = "Which."), ("attempt" = u32, Path, description = "Its number.")),
    responses((status = 200, description = "The change.", body = Diff))
)]
pub(in crate::api) async fn read_diff(
    caller: Caller,
    headers: HeaderMap,
    At((id, attempt)): At<(RunId, u32)>,
) -> Result<Response, Problem> {
    of_attempt(&caller, id, attempt, ProjectRole::Read).await?;
    match caller.app().blobs().get(&BlobKey::diff(id, Attempt(attempt))).await {
        Ok(bytes) => Ok(tagged(&headers, &Diff { diff: String::from_utf8_lossy(&bytes).into_owned() })),
        Err(StoreError::Missing { .. }) => {
            Err(Problem::new(StatusCode::NOT_FOUND, "diff_missing", sentences::diff_missing()))
        }
        Err(error) => Err(error.into()),
    }
}
