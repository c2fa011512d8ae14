//! `GET /api/v1/runs/{run}/attempts/{attempt}/history`

use axum::Json;
use dispatch::EngineError;
use domain::{
    ids::{Attempt, RunId},
    people::ProjectRole,
    sentences, workflow_id,
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{blobs::BlobKey, histories};
use utoipa::{IntoParams, ToSchema};

use super::{
    super::body::{Asked, At},
    of_attempt,
};
use crate::{auth::Caller, problem::Problem};

const DEFAULT: u32 = 1_000;
const MAX: u32 = 5_000;

/// Which part of the history.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct HistoryQuery {
    /// The number of the first event; 1 unless asked otherwise.
    from: Option<u64>,
    /// How many events, 1 to 5000; 1000 unless asked otherwise.
    limit: Option<u32>,
}

/// Where a history was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::api) enum HistorySource {
    /// In the engine.
    Engine,
    /// In the archive, because the engine has forgotten it.
    Archive,
}

/// A part of a history.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct History {
    source: HistorySource,
    /// The engine's name of the workflow.
    workflow_id: String,
    /// In order, each as the engine keeps it: Temporal's `HistoryEvent` as JSON.
    #[schema(value_type = Vec<Object>)]
    events: Vec<Value>,
    /// How many there are in all.
    total: u64,
    /// Ask from here for what follows.
    next: u64,
}

/// What the engine has written down about an attempt, event by event
#[utoipa::path(
    get, path = "/api/v1/runs/{run}/attempts/{attempt}/history", tag = "runs",
    params(("run" = RunId, Path, description = "Which."), ("attempt" = u32, Path, description = "Its number."), HistoryQuery),
    responses((status = 200, description = "A part of the history.", body = History))
)]
pub(in crate::api) async fn read_history(
    caller: Caller,
    At((id, attempt)): At<(RunId, u32)>,
    Asked(query): Asked<HistoryQuery>,
) -> Result<Json<History>, Problem> {
    of_attempt(&caller, id, attempt, ProjectRole::Read).await?;
    let limit = match query.limit.unwrap_or(DEFAULT) {
        limit @ 1..=MAX => limit as usize,
        _ => return Err(Problem::bad_request("limit_invalid", sentences::ask_for_events(MAX))),
    };
    let from = query.from.unwrap_or(1).max(1);
    let workflow_id = workflow_id::agent_run(caller.app().instance(), id, Attempt(attempt));
    let (source, events) = match in_engine(&caller, &workflow_id).await {
        Ok(Some(events)) => (HistorySource::Engine, events),
        Ok(None) => (HistorySource::Archive, archived(&caller, id, attempt).await?.ok_or_else(missing)?),
        // What is archived is whole, so an engine that is away keeps nobody from reading.
        Err(error) => match archived(&caller, id, attempt).await? {
            Some(events) => (HistorySource::Archive, events),
            None => return Err(away(&error)),
        },
    };
    let total = events.len() as u64;
    let skip = usize::try_from(from - 1).unwrap_or(usize::MAX);
    let events: Vec<Value> = events.into_iter().skip(skip).take(limit).collect();
    let next = from + events.len() as u64;
    Ok(Json(History { source, workflow_id, events, total, next }))
}

async fn in_engine(caller: &Caller, workflow_id: &str) -> Result<Option<Vec<Value>>, EngineError> {
    caller.app().dispatcher().engine().history(workflow_id).await
}

async fn archived(caller: &Caller, run: RunId, attempt: u32) -> Result<Option<Vec<Value>>, Problem> {
    let kept = histories::get(&mut *caller.store().acquire().await?, run, Attempt(attempt)).await?;
    let Some(kept) = kept else { return Ok(None) };
    let bytes = caller.app().blobs().get(&BlobKey::stored(&kept.blob)).await?;
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let events: Result<Vec<Value>, _> = lines.map(serde_json::from_slice).collect();
    events.map(Some).map_err(|error| {
        tracing::error!(%run, attempt, %error, "an archived history can't be read");
        Problem::internal()
    })
}

fn missing() -> Problem {
    let detail = sentences::history_missing();
    Problem::new(StatusCode::NOT_FOUND, "history_missing", detail)
}

fn away(error: &EngineError) -> Problem {
    tracing::warn!(%error, "a history can't be read");
    Problem::unavailable("engine_unavailable", sentences::engine_not_asked(), 5)
}
