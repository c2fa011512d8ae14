//! Start the Job. One attempt only; after a lost answer the workflow looks with `find_job` before it asks again.

use std::time::Duration;

use domain::{
    run::{RunState, Step},
    workflow_id::job_name,
};
use jobs::JobOrder;
use role::SecretText;
use store::{
    JobState,
    attempts::{self, JobUpdate},
    steps,
};
use workflows::messages::RunRef;

use super::model_policy;
use crate::{failure::StepError, platform::Platform, progress, run_context::RunContext, run_token};

/// Starts the Job.
///
/// # Errors
/// See [`StepError`].
pub async fn run(platform: &Platform, at: RunRef) -> Result<(), StepError> {
    let name = job_name(at.run, at.attempt);
    let token = platform.run_token_key.token(at.run, at.attempt);
    let now = platform.now();
    let mut tx = platform.store.begin().await?;
    progress::enter(platform, &mut tx, at, (RunState::Working, Step::Launch)).await?;
    let hash = run_token::hash(&token);
    let job = JobUpdate { state: JobState::Launching, name: Some(&name), token_hash: Some(&hash), now };
    attempts::set_job(&mut tx, at.run, at.attempt, job).await?;
    tx.commit().await.map_err(store::StoreError::from)?;
    let context = RunContext::load(platform, at).await?;
    let cloned = context.cloned(platform).await?;
    model_policy::fix(platform, &context, &cloned.config).await?;
    let order = JobOrder {
        job: context.job(),
        token: SecretText::new(token.expose()),
        gateway_url: platform.places.gateway_url.clone(),
        model_url: platform.places.model_url.clone(),
        deadline: Duration::from_secs(cloned.job_secs),
        runtime: cloned.config.runtime_of(&context.run.agent),
    };
    platform.launcher.launch(&order).await?;
    let now = platform.now();
    let mut tx = platform.store.begin().await?;
    // The run's row first, as everywhere: another try of this may be at work beside it.
    progress::enter(platform, &mut tx, at, (RunState::Working, Step::Agent)).await?;
    steps::done(&mut tx, progress::key(at, Step::Launch), &serde_json::Value::Null, now).await?;
    // That the Job runs is noted when its runner is heard of.
    let is_over = attempts::get(&mut tx, at.run, at.attempt).await?.finished_at.is_some();
    tx.commit().await.map_err(store::StoreError::from)?;
    if is_over {
        // Somebody else has settled the attempt while this launch was under way, and found no Job to end.
        platform.launcher.stop(&order.job, Duration::ZERO).await?;
        return Err(StepError::fatal("ended", domain::sentences::ended_while_starting()));
    }
    Ok(())
}
