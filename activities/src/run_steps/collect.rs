//! Judge the outcome from the evidence.

use chrono::{DateTime, Utc};
use domain::{
    job::{JobReport, Resumed},
    policy::{judge, judge_stopped},
    run::{Outcome, Step},
};
use serde_json::json;
use store::{PgConnection, attempts, audit, model_calls, steps};
use workflows::messages::{RunEnd, RunRef, Verdict};

use super::keep_diff;
use crate::{
    failure::StepError,
    platform::Platform,
    progress::{self, recorded},
    run_context::RunContext,
};

/// Judges the outcome from the evidence.
///
/// # Errors
/// See [`StepError`].
pub async fn run(platform: &Platform, at: RunRef) -> Result<Verdict, StepError> {
    let context = RunContext::load(platform, at).await?;
    let now = platform.now();
    let resumed = report(platform, at).await?.resumed;
    let mut tx = platform.store.begin().await?;
    steps::done(&mut tx, progress::key(at, Step::Agent), &json!({ "resumed": resumed }), now).await?;
    if let Some(resumed) = resumed {
        note(&mut tx, &context, resumed, now).await?;
    }
    tx.commit().await.map_err(store::StoreError::from)?;
    recorded(platform, at, Step::Collect, weigh(platform, &context)).await
}

async fn weigh(platform: &Platform, context: &RunContext) -> Result<Verdict, StepError> {
    let cloned = context.cloned(platform).await?;
    let agent = context.agent(&cloned.config)?;
    let report = report(platform, context.at).await?;
    let at = context.at;
    if let Err(error) = keep_diff::run(platform, context, &cloned.base_sha, &report).await {
        tracing::warn!(run = %at.run, attempt = %at.attempt, %error, "the change is not kept for reading");
    }
    let stopped = model_calls::stopped(&mut *platform.store.acquire().await?, at.run, at.attempt).await?;
    let judgement = stopped.and_then(|stopped| judge_stopped(&report, &stopped));
    let judgement = judgement.unwrap_or_else(|| judge(&report, agent.role()));
    Ok(if publishes(judgement.outcome) {
        Verdict::Publish
    } else {
        Verdict::End(RunEnd { outcome: judgement.outcome, cause: judgement.cause })
    })
}

/// Has the run's history say what the agent went on from.
async fn note(
    conn: &mut PgConnection,
    context: &RunContext,
    resumed: Resumed,
    now: DateTime<Utc>,
) -> Result<(), StepError> {
    let detail = json!({ "attempt": context.at.attempt, "from": resumed });
    let event = audit::NewFlowEvent {
        run: Some(context.at.run),
        repository: Some(context.repository.id),
        ..audit::NewFlowEvent::new(now, "runner", "agent_resumed", detail)
    };
    Ok(audit::append(conn, event).await?)
}

/// Whether the outcome is reached by showing something on the forge.
const fn publishes(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::PullRequestOpen | Outcome::ReviewPosted | Outcome::AnswerPosted)
}

/// The runner's report of an attempt.
pub(super) async fn report(platform: &Platform, at: RunRef) -> Result<JobReport, StepError> {
    let mut conn = platform.store.acquire().await?;
    let report = attempts::report(&mut conn, at.run, at.attempt).await?;
    let report = report.ok_or_else(|| StepError::fatal("order", "there is no report of the Job"))?;
    serde_json::from_value(report)
        .map_err(|error| StepError::fatal("report", format!("the Job's report can't be read: {error}")))
}
