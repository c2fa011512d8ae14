//! `PUT /runner/v1/result`: the commits that the agent made, as a git bundle, put where the worker finds them. `HEAD`: how much of it
//! has come.

use axum::{body::Body, extract::State, response::IntoResponse};
use http::{HeaderMap, StatusCode};
use store::{UploadKind, attempts, blobs::BlobKey};

use super::{
    RunnerAuth,
    upload::{Bounds, OFFSET, Upload},
};
use crate::{app::AppState, problem::Problem};

/// A bundle holds what differs from the base, and that is meant to be reviewed by people.
pub(super) const MAX_RESULT: u64 = 100 * 1024 * 1024;

const BOUNDS: Bounds = Bounds { kind: UploadKind::Result, most: MAX_RESULT, too_large };

pub(super) async fn put(
    auth: RunnerAuth,
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    let upload = Upload::announced(auth, BOUNDS, &headers)?;
    let RunnerAuth(run, attempt) = auth;
    let reported = attempts::report(&mut *state.store().acquire().await?, run, attempt).await?;
    if reported.is_some() {
        // The worker may be reading the bundle already.
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "already_reported",
            "the report is in; the result stays as it is",
        ));
    }
    let Some(received) = upload.receive(&state, body).await? else { return Ok(StatusCode::ACCEPTED) };
    let key = BlobKey::result(run, attempt);
    if let Err(error) = state.blobs().put_stream(&key, received.bytes(state.blobs()), MAX_RESULT).await {
        return Err(received.failed(&state, error).await);
    }
    attempts::set_result_blob(&mut *state.store().acquire().await?, run, attempt, key.as_str()).await?;
    received.done(&state).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn head(
    auth: RunnerAuth,
    State(state): State<AppState>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let offset = Upload::announced(auth, BOUNDS, &headers)?.offset(&state).await?;
    Ok((StatusCode::NO_CONTENT, [(OFFSET, offset.to_string())]))
}

fn too_large() -> Problem {
    let detail = format!("a result has at most {MAX_RESULT} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "result_too_large", detail)
}
