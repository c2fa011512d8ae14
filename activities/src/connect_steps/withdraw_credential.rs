//! Takes the credential from the repository, and withdraws it if nothing else uses it. What was asked for with the same credential
//! and has not ended keeps it, too.

use store::{StoreError, connections::Connection, credentials, repositories};

use crate::{failure::StepError, platform::Platform};

pub(super) async fn run(platform: &Platform, connection: Connection) -> Result<(), StepError> {
    let id = super::repository(&connection)?;
    let mut tx = platform.store.begin().await?;
    repositories::take_credential(&mut tx, id).await?;
    // The connection names it still: a second try finds it as well.
    if let Some(credential) = connection.credential {
        credentials::withdraw_unused(&mut tx, credential, platform.now()).await?;
    }
    Ok(tx.commit().await.map_err(StoreError::from)?)
}
