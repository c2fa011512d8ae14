//! `GET /api/v1/runs/{run}/attempts/{attempt}/log`

use axum::Json;
use domain::{
    ids::{Attempt, RunId},
    job::LogChunk,
    people::ProjectRole,
    sentences,
};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use store::log_archives;
use utoipa::{IntoParams, ToSchema};

use super::{
    super::body::{Asked, At},
    found, no_run,
};
use crate::{auth::Caller, problem::Problem};

const DEFAULT: u32 = 500;
const MAX: u32 = 2_000;

/// Which part of the log.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct LogQuery {
    /// The first chunk; 0 unless asked otherwise.
    #[serde(default)]
    from: u64,
    /// How many chunks, 1 to 2000; 500 unless asked otherwise.
    limit: Option<u32>,
}

/// A part of a log.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct LogPage {
    /// In order.
    chunks: Vec<LogChunk>,
    /// Ask from here for what follows, or for what is still to come.
    next: u64,
    /// Whether the attempt is over: then nothing is still to come.
    ended: bool,
}

/// The output of an attempt, while it runs and after its Job is gone
#[utoipa::path(
    get, path = "/api/v1/runs/{run}/attempts/{attempt}/log", tag = "runs",
    params(("run" = RunId, Path, description = "Which."), ("attempt" = u32, Path, description = "Its number."), LogQuery),
    responses((status = 200, description = "A part of the log.", body = LogPage))
)]
pub(in crate::api) async fn read_log(
    caller: Caller,
    At((id, attempt)): At<(RunId, u32)>,
    Asked(query): Asked<LogQuery>,
) -> Result<Json<LogPage>, Problem> {
    let (run, _) = found(&caller, id, ProjectRole::Read).await?;
    if attempt == 0 || attempt > run.attempt.0 {
        return Err(no_run());
    }
    let limit = match query.limit.unwrap_or(DEFAULT) {
        limit @ 1..=MAX => limit as usize,
        _ => return Err(Problem::bad_request("limit_invalid", sentences::ask_for_chunks(MAX))),
    };
    // Looked at first: what comes in between is then still to come.
    let record = store::attempts::get(&mut *caller.store().acquire().await?, id, Attempt(attempt)).await?;
    let mut stream = log_archives::read(caller.store(), caller.app().blobs(), id, Attempt(attempt), query.from).await?;
    let mut chunks = Vec::new();
    while chunks.len() < limit
        && let Some(chunk) = stream.try_next().await?
    {
        chunks.push(chunk);
    }
    let next = chunks.last().map_or(query.from, |chunk: &LogChunk| chunk.seq + 1);
    let ended = record.finished_at.is_some() && chunks.len() < limit;
    Ok(Json(LogPage { chunks, next, ended }))
}
