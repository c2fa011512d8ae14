//! Move the output of an ended attempt from its rows into the object store; keep the last that the cluster says about its Job,
//! and take that away: its result is collected.

use store::log_archives;
use workflows::messages::RunRef;

use crate::{failure::StepError, job_story, platform::Platform, run_context::RunContext};

/// Moves the output of an attempt to the blob store and removes its Job.
///
/// # Errors
/// See [`StepError`].
pub async fn run(platform: &Platform, at: RunRef) -> Result<(), StepError> {
    let job = RunContext::load(platform, at).await?.job();
    log_archives::archive(&platform.store, &platform.blobs, at.run, at.attempt, platform.now()).await?;
    job_story::keep_last(platform, at, &job).await;
    Ok(platform.launcher.remove(&job).await?)
}
