//! Judge the outcome from the evidence.

use domain::{
    job::JobReport,
    policy::judge,
    run::{Outcome, RunState, Step},
};
use store::{attempts, steps};
use workflows::messages::{RunEnd, RunRef, Verdict};

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
    let mut tx = platform.store.begin().await?;
    steps::done(&mut tx, progress::key(at, Step::Agent), &serde_json::Value::Null, now).await?;
    progress::move_to(platform, &mut tx, at, RunState::Working, Step::Collect).await?;
    tx.commit().await.map_err(store::StoreError::from)?;
    recorded(platform, at, Step::Collect, weigh(platform, &context)).await
}

async fn weigh(platform: &Platform, context: &RunContext) -> Result<Verdict, StepError> {
    let cloned = context.cloned(platform).await?;
    let agent = context.agent(&cloned.config)?;
    let report = report(platform, context.at).await?;
    let judgement = judge(&report, agent.role());
    Ok(if publishes(judgement.outcome) {
        Verdict::Publish
    } else {
        Verdict::End(RunEnd { outcome: judgement.outcome, cause: judgement.cause })
    })
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
