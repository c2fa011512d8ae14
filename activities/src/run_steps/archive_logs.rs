//! Move the output of an ended attempt from its rows into the object store.

use store::log_archives;
use workflows::messages::RunRef;

use crate::{failure::StepError, platform::Platform};

/// Moves the output of an attempt to the blob store.
///
/// # Errors
/// See [`StepError`].
pub async fn run(platform: &Platform, at: RunRef) -> Result<(), StepError> {
    log_archives::archive(&platform.store, &platform.blobs, at.run, at.attempt, platform.now()).await?;
    Ok(())
}
