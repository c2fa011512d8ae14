//! Reads `services.yaml` for the first time. One that can't be read does not stand against connecting: the repository's row says
//! what is wrong, and the next push is looked at again.

use domain::services_yaml::FILE_NAME;
use store::{connections::Connection, repositories};

use crate::{config_refresh, failure::StepError, platform::Platform};

/// Stands where the commit stands that settings were read at: this time it is the branch as it is.
const AT_CONNECTING: &str = "connected";

pub(super) async fn run(platform: &Platform, connection: Connection) -> Result<(), StepError> {
    let id = super::repository(&connection)?;
    let repository = repositories::get(&mut *platform.store.acquire().await?, id).await?;
    let forge = platform.forge.open(&repository).await?;
    let text = forge.provider.file(&forge.repo, FILE_NAME, &repository.default_branch).await?;
    config_refresh::store(platform, &repository, text.as_deref(), AT_CONNECTING).await
}
