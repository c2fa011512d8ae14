//! `GET /runner/v1/workspace`: the packed workspace, streamed.

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use http::header::CONTENT_TYPE;
use store::{attempts, blobs::BlobKey};

use super::{RunnerAuth, job::missing};
use crate::{app::AppState, problem::Problem};

pub(super) async fn get(
    RunnerAuth(run, attempt): RunnerAuth,
    State(state): State<AppState>,
) -> Result<Response, Problem> {
    let row = attempts::get(&mut *state.store().acquire().await?, run, attempt).await?;
    // An attempt that continues an earlier one names that one's workspace.
    let key = row.workspace_blob.map_or_else(|| BlobKey::workspace(run, attempt), |key| BlobKey::stored(&key));
    let bundle = state.blobs().get_stream(&key).await.map_err(|error| missing(error, "workspace_missing"))?;
    Ok(([(CONTENT_TYPE, "application/octet-stream")], Body::from_stream(bundle)).into_response())
}
