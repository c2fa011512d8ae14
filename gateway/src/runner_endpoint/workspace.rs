//! `GET /runner/v1/workspace`: the packed workspace, streamed.

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::CONTENT_TYPE};
use store::{attempts, blobs::BlobKey};

use super::{RunnerAuth, job::missing};
use crate::{app::AppState, problem::Problem};

const MISSING: &str = "workspace_missing";

pub(super) async fn get(
    RunnerAuth(run, attempt): RunnerAuth,
    State(state): State<AppState>,
) -> Result<Response, Problem> {
    let row = attempts::get(&mut *state.store().acquire().await?, run, attempt).await?;
    let not_packed = || Problem::new(StatusCode::NOT_FOUND, MISSING, "this attempt has no packed workspace yet");
    let key = BlobKey::stored(&row.workspace_blob.ok_or_else(not_packed)?);
    let bundle = state.blobs().get_stream(&key).await.map_err(|error| missing(error, MISSING))?;
    Ok(([(CONTENT_TYPE, "application/octet-stream")], Body::from_stream(bundle)).into_response())
}
