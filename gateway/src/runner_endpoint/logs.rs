//! `POST /runner/v1/logs`: output, and the sign of life.

use axum::{Json, extract::State};
use domain::job::{LogAck, LogBatch};
use store::{StoreError, attempts, logs};

use super::RunnerAuth;
use crate::{app::AppState, problem::Problem};

pub(super) async fn post(
    RunnerAuth(run, attempt): RunnerAuth,
    State(state): State<AppState>,
    Json(batch): Json<LogBatch>,
) -> Result<Json<LogAck>, Problem> {
    // Most batches are empty, and come from every run every few seconds.
    if batch.chunks.is_empty() {
        let cancel = attempts::heartbeat(&mut *state.store().acquire().await?, run, attempt, state.now()).await?;
        return Ok(Json(LogAck { cancel }));
    }
    let mut tx = state.store().begin().await?;
    logs::append(&mut tx, run, attempt, &batch.chunks).await?;
    let cancel = attempts::heartbeat(&mut tx, run, attempt, state.now()).await?;
    tx.commit().await.map_err(StoreError::from)?;
    if let Some(last) = batch.chunks.iter().map(|chunk| chunk.seq).max() {
        state.store().ring_log(run, attempt, last + 1);
    }
    Ok(Json(LogAck { cancel }))
}
