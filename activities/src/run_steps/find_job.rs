//! What became of a launch whose answer was lost.

use domain::job::JobPresence;
use domain::workflow_id::job_name;
use workflows::messages::RunRef;

use crate::{failure::StepError, platform::Platform};

/// Asks the launcher about the Job.
///
/// # Errors
/// See [`StepError`].
pub async fn run(platform: &Platform, at: RunRef) -> Result<JobPresence, StepError> {
    Ok(platform.launcher.presence(&job_name(at.run, at.attempt)).await?)
}
