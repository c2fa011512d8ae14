//! `GET`, `PUT` and `HEAD /runner/v1/setup-cache`: what set-up leaves behind, kept between the runs of one repository.
//!
//! Which one a Job gets is written in its description by the worker, so a Job can't reach another repository's or
//! another key's. It can be stored only by a Job that may, and only until the agent has first asked the model: before that
//! it can't have done anything.

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use domain::job::{JobSpec, SetupCache};
use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use store::{StoreError, UploadKind, blobs::BlobKey, model_calls, runs};

use super::{
    RunnerAuth,
    job::missing,
    upload::{Bounds, OFFSET, Upload},
};
use crate::{app::AppState, problem::Problem};

/// Bytes of a compressed archive.
pub(super) const MAX_SETUP_CACHE: u64 = 1024 * 1024 * 1024;

const BOUNDS: Bounds = Bounds { kind: UploadKind::SetupCache, most: MAX_SETUP_CACHE, too_large };

pub(super) async fn get(auth: RunnerAuth, State(state): State<AppState>) -> Result<Response, Problem> {
    let Some((key, _)) = find(&state, auth).await? else { return Ok(StatusCode::NO_CONTENT.into_response()) };
    match state.blobs().get_stream(&key).await {
        Ok(archive) => Ok(([(CONTENT_TYPE, "application/gzip")], Body::from_stream(archive)).into_response()),
        // That there is none yet is the usual case for the first run.
        Err(StoreError::Missing { .. }) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn put(
    auth: RunnerAuth,
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    let key = match find(&state, auth).await? {
        Some((key, cache)) if cache.may_store => key,
        _ => return Err(conflict("not_to_be_stored", "this Job may not store what its set-up leaves behind")),
    };
    let upload = Upload::announced(auth, BOUNDS, &headers)?;
    agent_has_not_begun(&state, auth).await?;
    let Some(received) = upload.receive(&state, body).await? else { return Ok(StatusCode::ACCEPTED) };
    // It may have begun while the bytes came.
    agent_has_not_begun(&state, auth).await?;
    if let Err(error) = state.blobs().put_stream(&key, received.bytes(state.blobs()), MAX_SETUP_CACHE).await {
        return Err(received.failed(&state, error).await);
    }
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

/// The archive of this attempt by its description, if it has one.
async fn find(
    state: &AppState,
    RunnerAuth(run, attempt): RunnerAuth,
) -> Result<Option<(BlobKey, SetupCache)>, Problem> {
    let job = state.blobs().get(&BlobKey::job(run, attempt)).await.map_err(|error| missing(error, "job_missing"))?;
    let spec: JobSpec = serde_json::from_slice(&job).map_err(|error| {
        tracing::error!(%run, %attempt, %error, "the description of a Job can't be read");
        Problem::internal()
    })?;
    let Some(cache) = spec.setup.cache else { return Ok(None) };
    let repository = runs::get(&mut *state.store().acquire().await?, run).await?.repository_id;
    Ok(Some((BlobKey::setup_cache(repository, &cache.key), cache)))
}

async fn agent_has_not_begun(state: &AppState, RunnerAuth(run, attempt): RunnerAuth) -> Result<(), Problem> {
    if !model_calls::any(&mut *state.store().acquire().await?, run, attempt).await? {
        return Ok(());
    }
    Err(conflict("agent_at_work", "the agent has begun its work; what is there now may be its doing"))
}

fn conflict(code: &'static str, detail: &str) -> Problem {
    Problem::new(StatusCode::CONFLICT, code, detail)
}

fn too_large() -> Problem {
    let detail = format!("what set-up leaves behind has at most {MAX_SETUP_CACHE} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "setup_cache_too_large", detail)
}
