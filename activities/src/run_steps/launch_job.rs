//! Start the Job. The engine repeats it only as part of a workflow task that was lost; after an answer that was lost the workflow looks with
//! `find_job` before it asks again.

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

use super::{model_policy, stop_job::GRACE};
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
    let heard = attempts::last_heard(&mut tx, at.run, at.attempt).await?;
    tx.commit().await.map_err(store::StoreError::from)?;
    if heard.is_stopped {
        return Err(ended_meanwhile());
    }
    if heard.state > JobState::Launching {
        // Its runner was heard of: an earlier try of this has started it.
        return launched(platform, at).await;
    }
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
    let done = platform.launcher.launch(&order).await;
    // Whatever came of it: who asked for its end meanwhile may have found no Job yet, and nobody waits for a launch that took too long.
    let heard = attempts::last_heard(&mut *platform.store.acquire().await?, at.run, at.attempt).await?;
    if heard.is_stopped {
        platform.launcher.stop(&order.job, GRACE).await?;
        return Err(ended_meanwhile());
    }
    done?;
    launched(platform, at).await
}

/// Notes that there is a Job. That it runs is noted when its runner is heard of.
async fn launched(platform: &Platform, at: RunRef) -> Result<(), StepError> {
    let now = platform.now();
    let mut tx = platform.store.begin().await?;
    // The run's row first, as everywhere: another try of this may be at work beside it.
    progress::enter(platform, &mut tx, at, (RunState::Working, Step::Agent)).await?;
    steps::done(&mut tx, progress::key(at, Step::Launch), &serde_json::Value::Null, now).await?;
    tx.commit().await.map_err(store::StoreError::from)?;
    Ok(())
}

fn ended_meanwhile() -> StepError {
    StepError::fatal("ended", domain::sentences::ended_while_starting())
}
