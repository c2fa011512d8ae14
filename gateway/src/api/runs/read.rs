//! `GET /api/v1/runs/{run}`

use axum::response::Response;
use domain::{ids::RunId, job::JobReport, people::ProjectRole};
use http::HeaderMap;
use store::{PgConnection, attempts, checkpoints, deliveries, model_calls, runs, steps};

use super::{
    super::{body::At, etag::tagged},
    found, no_run,
    shown::{Known, RunAttempt, RunDelivery, RunDetail, shown, waiting},
};
use crate::{auth::Caller, problem::Problem};

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
    let kept = checkpoints::newest(&mut conn, id).await?;
    let entry = shown(&caller, &mut conn, std::slice::from_ref(&run)).await?.pop().ok_or_else(no_run)?;
    let detail = RunDetail {
        run: entry,
        my_role,
        waiting: waiting(&run, &steps, caller.now()),
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
        reason: delivery.reason,
        received_at: delivery.received_at,
    }
}
