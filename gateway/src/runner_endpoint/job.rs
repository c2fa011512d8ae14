//! `GET /runner/v1/job`: what the runner is to do, as the worker wrote it down.

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::CONTENT_TYPE};
use store::{StoreError, blobs::BlobKey};

use super::RunnerAuth;
use crate::{app::AppState, problem::Problem};

pub(super) async fn get(
    RunnerAuth(run, attempt): RunnerAuth,
    State(state): State<AppState>,
) -> Result<Response, Problem> {
    let job = state.blobs().get(&BlobKey::job(run, attempt)).await.map_err(|error| missing(error, "job_missing"))?;
    Ok(([(CONTENT_TYPE, "application/json")], Body::from(job)).into_response())
}

/// A blob that is not there yet is no fault of ours.
pub(super) fn missing(error: StoreError, code: &'static str) -> Problem {
    match error {
        StoreError::Missing { what, .. } => {
            Problem::new(StatusCode::NOT_FOUND, code, format!("there is no such {what} for this attempt"))
        }
        other => other.into(),
    }
}
