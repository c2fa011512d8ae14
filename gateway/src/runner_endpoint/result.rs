//! `PUT /runner/v1/result`: the commits that the agent made, as a git bundle, streamed to where the worker finds them.

use axum::{body::Body, extract::State};
use http::{HeaderMap, StatusCode};
use store::{attempts, blobs::BlobKey};

use super::{
    RunnerAuth,
    upload::{announced, refused},
};
use crate::{app::AppState, problem::Problem};

/// A bundle holds what differs from the base, and that is meant to be reviewed by people.
pub(super) const MAX_RESULT: u64 = 100 * 1024 * 1024;

pub(super) async fn put(
    RunnerAuth(run, attempt): RunnerAuth,
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    if announced(&headers).is_some_and(|length| length > MAX_RESULT) {
        return Err(too_large());
    }
    let reported = attempts::report(&mut *state.store().acquire().await?, run, attempt).await?;
    if reported.is_some() {
        // The worker may be reading the bundle already.
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "already_reported",
            "the report is in; the result stays as it is",
        ));
    }
    let key = BlobKey::result(run, attempt);
    state
        .blobs()
        .put_stream(&key, body.into_data_stream(), MAX_RESULT)
        .await
        .map_err(|error| refused(error, too_large))?;
    attempts::set_result_blob(&mut *state.store().acquire().await?, run, attempt, key.as_str()).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn too_large() -> Problem {
    let detail = format!("a result has at most {MAX_RESULT} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "result_too_large", detail)
}
