//! `POST /runner/v1/report`: the evidence. The first one counts, and wakes the run's workflow; unless the Job was put out by its
//! surroundings: then who watches it tells what became of it.

use axum::{Json, extract::State};
use domain::{job::JobReport, workflow_id};
use http::StatusCode;
use serde_json::{Value, json};
use store::{
    CommandKind, StoreError, attempts,
    commands::{self, About, NewCommand},
};

use telemetry::SpanKind;

use super::RunnerAuth;
use crate::{app::AppState, problem::Problem};

pub(super) async fn post(
    RunnerAuth(run, attempt): RunnerAuth,
    State(state): State<AppState>,
    Json(report): Json<JobReport>,
) -> Result<StatusCode, Problem> {
    let (at, name) = ((run, attempt), "runner report".to_owned());
    let _span = state.telemetry().span_of_attempt(state.store(), at, name, SpanKind::Server).await;
    let mut tx = state.store().begin().await?;
    if !attempts::store_report(&mut tx, run, attempt, &json!(report)).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    if report.is_of_interrupted(attempts::last_heard(&mut tx, run, attempt).await?.is_asked_to_end) {
        tx.commit().await.map_err(StoreError::from)?;
        return Ok(StatusCode::NO_CONTENT);
    }
    let workflow_id = workflow_id::agent_run(state.instance(), run, attempt);
    let command = NewCommand {
        workflow_id: &workflow_id,
        kind: CommandKind::Signal,
        about: About::Run(run, attempt),
        name: Some("job_reported"),
        payload: Value::Null,
        now: state.now(),
    };
    commands::enqueue(&mut tx, command).await?;
    tx.commit().await.map_err(StoreError::from)?;
    state.store().ring(run);
    state.dispatcher().spawn(workflow_id);
    Ok(StatusCode::NO_CONTENT)
}
