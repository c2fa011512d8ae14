//! `PUT /runner/v1/checkpoint`: the agent's work and thread as they are now, for an attempt that may have to go on from
//! there; `HEAD`: how much of it has come. `GET /runner/v1/checkpoint/work` and `/thread`: those that this attempt goes on from; a run that revises a pull
//! request gets the thread of the run before it.
//!
//! The body is the thread's file, as long as the request says, and after it the bundle of the work tree. Both are stored
//! under names of their own before the row that names them, so a half one is never seen. They come from where foreign
//! code runs: nothing in them is looked at here, and they go only into a Job of the same run.

use axum::{
    body::Body,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use serde::Deserialize;
use store::{
    StoreError, UploadKind, attempts,
    blobs::{BlobKey, PutError},
    checkpoints::{self, Checkpoint, Recorded, Thread},
    runs,
};
use uuid::Uuid;

use super::{
    RunnerAuth,
    result::MAX_RESULT,
    upload::{Bounds, OFFSET, ReadError, Received, Upload},
};
use crate::{app::AppState, problem::Problem};

/// Bytes of a thread's file.
const MAX_THREAD: u64 = 64 * 1024 * 1024;

const BOUNDS: Bounds = Bounds { kind: UploadKind::Checkpoint, most: MAX_THREAD + MAX_RESULT, too_large };

/// What the request says about its body.
#[derive(Debug, Deserialize)]
pub(super) struct Announced {
    /// Counts up within the attempt; the greatest wins.
    seq: u64,
    /// Codex's thread; none if its file is not there.
    thread_id: Option<Uuid>,
    /// Bytes of the thread's file at the beginning of the body.
    #[serde(default)]
    thread_bytes: u64,
}

pub(super) async fn put(
    auth: RunnerAuth,
    State(state): State<AppState>,
    Query(about): Query<Announced>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    let RunnerAuth(run, attempt) = auth;
    if about.seq == 0 || (about.thread_bytes > 0) != about.thread_id.is_some() {
        let detail = "number checkpoints from 1, and send a thread with its id and its length";
        return Err(Problem::bad_request("checkpoint_invalid", detail));
    }
    let upload = Upload::announced(auth, BOUNDS, &headers)?;
    if about.thread_bytes > MAX_THREAD {
        return Err(too_large());
    }
    let there = checkpoints::of(&mut *state.store().acquire().await?, run, attempt).await?;
    if there.is_some_and(|there| there.seq >= about.seq) {
        return Ok(StatusCode::NO_CONTENT);
    }
    let Some(received) = upload.receive(&state, body).await? else { return Ok(StatusCode::ACCEPTED) };
    let checkpoint = match store_blobs(&state, auth, &about, &received).await {
        Ok(checkpoint) => checkpoint,
        Err(NotStored::Refused(problem)) => return Err(problem),
        Err(NotStored::Failed(PutError::TooLarge(_))) => return Err(too_large()),
        Err(NotStored::Failed(error)) => return Err(received.failed(&state, error).await),
    };
    let mut tx = state.store().begin().await?;
    let recorded = checkpoints::record(&mut tx, run, &checkpoint).await?;
    tx.commit().await.map_err(StoreError::from)?;
    let needless = match recorded {
        Recorded::Newest { replaced } => replaced,
        Recorded::Late => {
            [Some(checkpoint.work), checkpoint.thread.map(|thread| thread.blob)].into_iter().flatten().collect()
        }
    };
    for key in needless {
        // A blob that stays harms nobody.
        if let Err(error) = state.blobs().delete(&key).await {
            tracing::warn!(%key, %error, "a blob that nobody names any more stays");
        }
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

/// Why there are no blobs of a checkpoint.
enum NotStored {
    Refused(Problem),
    Failed(PutError<ReadError>),
}

async fn store_blobs(
    state: &AppState,
    RunnerAuth(run, attempt): RunnerAuth,
    about: &Announced,
    received: &Received,
) -> Result<Checkpoint, NotStored> {
    let (work, thread_blob) = checkpoints::new_blobs(run, attempt);
    let mut parts = Parts { body: received.bytes(state.blobs()), rest: Bytes::new(), taken: 0 };
    if about.thread_id.is_some() {
        let blobs = state.blobs();
        let thread = parts.take(about.thread_bytes);
        blobs.put_stream(&thread_blob, thread, MAX_THREAD).await.map_err(NotStored::Failed)?;
        if parts.taken < about.thread_bytes {
            let detail = "the whole is shorter than its thread is said to be";
            return Err(NotStored::Refused(Problem::bad_request("checkpoint_invalid", detail)));
        }
    }
    let bundle = parts.take(u64::MAX);
    state.blobs().put_stream(&work, bundle, MAX_RESULT).await.map_err(NotStored::Failed)?;
    let thread = about.thread_id.map(|id| Thread { id: id.to_string(), blob: thread_blob });
    Ok(Checkpoint { attempt, seq: about.seq, at: state.now(), work, thread, bytes: parts.taken })
}

/// A body in two parts.
struct Parts<S> {
    body: S,
    /// Read already, of the next part.
    rest: Bytes,
    /// Bytes given out so far.
    taken: u64,
}

impl<S: Stream<Item = Result<Bytes, ReadError>> + Send + Unpin> Parts<S> {
    /// The next bytes, at most so many.
    fn take(&mut self, most: u64) -> impl Stream<Item = Result<Bytes, ReadError>> + Send {
        stream::try_unfold((self, most), async |(parts, left)| {
            if left == 0 {
                return Ok(None);
            }
            let mut piece = std::mem::take(&mut parts.rest);
            if piece.is_empty() {
                piece = match parts.body.next().await.transpose()? {
                    Some(piece) => piece,
                    None => return Ok(None),
                };
            }
            if piece.len() as u64 > left {
                parts.rest = piece.split_off(usize::try_from(left).unwrap_or(usize::MAX));
            }
            let length = piece.len() as u64;
            parts.taken += length;
            Ok(Some((piece, (parts, left - length))))
        })
    }
}

pub(super) async fn work(auth: RunnerAuth, State(state): State<AppState>) -> Result<Response, Problem> {
    let key = continued(&state, auth).await?.map(|checkpoint| checkpoint.work);
    send(&state, key).await
}

pub(super) async fn thread(auth: RunnerAuth, State(state): State<AppState>) -> Result<Response, Problem> {
    let checkpoint = match continued(&state, auth).await? {
        Some(checkpoint) => Some(checkpoint),
        None => revised(&state, auth).await?,
    };
    let thread = checkpoint.and_then(|checkpoint| checkpoint.thread);
    send(&state, thread.map(|thread| thread.blob)).await
}

/// The checkpoint that this attempt goes on from.
async fn continued(state: &AppState, RunnerAuth(run, attempt): RunnerAuth) -> Result<Option<Checkpoint>, Problem> {
    let mut conn = state.store().acquire().await?;
    match attempts::get(&mut conn, run, attempt).await?.continues {
        Some(earlier) => Ok(checkpoints::of(&mut conn, run, earlier).await?),
        None => Ok(None),
    }
}

/// The newest checkpoint of the run whose pull request this run goes on with.
async fn revised(state: &AppState, RunnerAuth(run, _): RunnerAuth) -> Result<Option<Checkpoint>, Problem> {
    let mut conn = state.store().acquire().await?;
    match runs::get(&mut conn, run).await?.revises() {
        Some(before) => Ok(checkpoints::newest(&mut conn, before).await?),
        None => Ok(None),
    }
}

async fn send(state: &AppState, key: Option<BlobKey>) -> Result<Response, Problem> {
    let Some(key) = key else { return Ok(StatusCode::NO_CONTENT.into_response()) };
    match state.blobs().get_stream(&key).await {
        Ok(bytes) => Ok(([(CONTENT_TYPE, "application/octet-stream")], Body::from_stream(bytes)).into_response()),
        Err(StoreError::Missing { .. }) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(error) => Err(error.into()),
    }
}

fn too_large() -> Problem {
    let detail = format!("a thread has at most {MAX_THREAD} bytes, and the work {MAX_RESULT}");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "checkpoint_too_large", detail)
}
