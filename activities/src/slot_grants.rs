//! Waking the runs that free slots go to.

use store::{PgConnection, slots::Grant};

use crate::{failure::StepError, platform::Platform};

/// Stores a signal for each grant; gives the workflows to be told once the transaction is through.
///
/// # Errors
/// When the database is away.
pub async fn signal(platform: &Platform, tx: &mut PgConnection, grants: Vec<Grant>) -> Result<Vec<String>, StepError> {
    let place = (platform.dispatcher.instance(), platform.now());
    Ok(ingest::slot_grants::signal(tx, grants, place).await?)
}

/// Delivers, once the transaction is through.
pub fn deliver(platform: &Platform, woken: Vec<String>) {
    for workflow in woken {
        platform.dispatcher.spawn(workflow);
    }
}
