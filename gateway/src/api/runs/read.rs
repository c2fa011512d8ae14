//! `GET /api/v1/runs/{run}`

use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{ids::RunId, job::JobReport, people::ProjectRole, run::RunState};
use http::HeaderMap;
use store::{PgConnection, attempts, checkpoints, deliveries, job_events, model_calls, runs, steps};

use super::{
    super::{body::At, etag::tagged},
    found, no_run,
    shown::{Known, RunAttempt, RunDelivery, RunDetail, SameFailure, shown, waiting},
};
use crate::{auth::Caller, problem::Problem};

/// So far back it is counted how many met the same failure.
const SAME_DAYS: u32 = 7;

/// A run with everything that is known about it
#[utoipa::path(
    get, path = "/api/v1/runs/{run}", tag = "runs", params(("run" = RunId, Path, description = "Which.")),
    responses((status = 200, description = "The run.", body = RunDetail))
)]
pub(in crate::api) async fn read_run(
    caller: Caller,
    headers: HeaderMap,
    At(id): At<RunId>,
) -> Result<Response, Problem> {
    let (run, my_role) = found(&caller, id, ProjectRole::Read).await?;
    let mut conn = caller.store().acquire().await?;
    let steps = steps::list(&mut conn, id).await?;
    let attempts = attempts(&mut conn, &run, &steps).await?;
    let deliveries = deliveries::list_for_run(&mut conn, id).await?;
    let node = waits_for_a_node(&mut conn, &run, attempts.last()).await?;
    let kept = checkpoints::newest(&mut conn, id).await?;
    let entry = shown(&caller, &mut conn, std::slice::from_ref(&run)).await?.pop().ok_or_else(no_run)?;
    let detail = RunDetail {
        run: entry,
        my_role,
        waiting: waiting(&run, &steps, node, caller.now()),
        same_failure: same_failure(&mut conn, &run, caller.now()).await?,
        instructions: run.instructions,
        branch: run.branch,
        base_sha: run.base_sha,
        head_sha: run.head_sha,
        cause_chain: run.cause_chain,
        kept_work_at: kept.map(|kept| kept.at),
        attempts,
        deliveries: deliveries.into_iter().map(told).collect(),
    };
    Ok(tagged(&headers, &detail))
}

/// How many others met the failure that the run ended with.
async fn same_failure(
    conn: &mut PgConnection,
    run: &runs::Run,
    now: DateTime<Utc>,
) -> Result<Option<SameFailure>, Problem> {
    if run.state != RunState::Finished {
        return Ok(None);
    }
    let found = runs::same_failure(conn, run.id, now - TimeDelta::days(i64::from(SAME_DAYS))).await?;
    Ok(found.map(|found| SameFailure { name: found.fingerprint, others: found.others, days: SAME_DAYS }))
}

/// What the cluster last said about a Job that has not begun.
async fn waits_for_a_node(
    conn: &mut PgConnection,
    run: &runs::Run,
    newest: Option<&RunAttempt>,
) -> Result<Option<String>, Problem> {
    if run.state == RunState::Finished || !newest.is_some_and(RunAttempt::is_launching) {
        return Ok(None);
    }
    let said = job_events::list(conn, run.id, run.attempt).await?;
    Ok(said.into_iter().rev().find(|event| event.warning).map(|event| format!("{}: {}", event.reason, event.message)))
}

async fn attempts(
    conn: &mut PgConnection,
    run: &runs::Run,
    steps: &[steps::StepRow],
) -> Result<Vec<RunAttempt>, Problem> {
    let mut shown = Vec::new();
    for row in attempts::list(conn, run.id).await? {
        let report = attempts::report(conn, run.id, row.attempt).await?;
        // A report of another version is shown as far as it can be read.
        let report = report.and_then(|report| serde_json::from_value::<JobReport>(report).ok());
        let spent = model_calls::sum_for_attempt(conn, run.id, row.attempt).await?;
        shown.push(RunAttempt::of(row, steps, Known { report, spent }));
    }
    Ok(shown)
}

fn told(delivery: deliveries::Delivery) -> RunDelivery {
    RunDelivery {
        id: delivery.id,
        event: delivery.event,
        action: delivery.action,
        sender: delivery.sender_login,
        verdict: delivery.verdict,
        reason_coded: domain::sentences::read(&delivery.reason),
        reason: delivery.reason,
        received_at: delivery.received_at,
    }
}
