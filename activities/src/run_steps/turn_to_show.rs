//! When a run may be shown on the forge, where many are to be. An estimate that spares the engine those who would be sent away: whether
//! a write may go out is asked when it is made.

use store::repositories;
use workflows::messages::{RunRef, TurnToShow};

use crate::{failure::StepError, platform::Platform};

/// Puts the run in line, or says how long it still has to wait.
///
/// # Errors
/// When the database is away.
pub async fn run(platform: &Platform, at: RunRef) -> Result<TurnToShow, StepError> {
    let credential = repositories::credential_of_run(&mut *platform.store.acquire().await?, at.run).await?;
    let wait = credential.map(|of| platform.forge.turn_to_write(of, at.run));
    Ok(TurnToShow { wait_secs: wait.unwrap_or_default().as_secs() })
}
