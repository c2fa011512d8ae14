//! End the Job: gracefully, then by force. Fine if there is none.

use std::time::Duration;

use store::{StoreError, attempts, tokens};
use workflows::messages::RunRef;

use crate::{failure::StepError, platform::Platform, run_context::RunContext};

/// Enough for the runner to end Codex and hand back what there is.
pub(super) const GRACE: Duration = Duration::from_secs(15);

/// Ends the Job.
///
/// # Errors
/// See [`StepError`].
pub async fn run(platform: &Platform, at: RunRef) -> Result<(), StepError> {
    let mut tx = platform.store.begin().await?;
    attempts::request_stop(&mut tx, at.run, at.attempt, platform.now()).await?;
    tx.commit().await.map_err(StoreError::from)?;
    platform.launcher.stop(&RunContext::load(platform, at).await?.job(), GRACE).await?;
    // Until here the runner could still report; what comes now comes from somebody else.
    tokens::revoke(&mut *platform.store.acquire().await?, at.run, at.attempt, platform.now()).await?;
    Ok(())
}
