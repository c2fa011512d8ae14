//! What became of a launch whose answer was lost.

use domain::job::JobPresence;
use workflows::messages::RunRef;

use crate::{failure::StepError, platform::Platform, run_context::RunContext};

/// Asks the launcher about the Job.
///
/// # Errors
/// See [`StepError`].
pub async fn run(platform: &Platform, at: RunRef) -> Result<JobPresence, StepError> {
    Ok(platform.launcher.presence(&RunContext::load(platform, at).await?.job()).await?)
}
