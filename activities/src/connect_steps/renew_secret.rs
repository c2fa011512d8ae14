//! Gives the webhook its new secret. Until the forge knows it both are good; then the old one goes.
//!
//! What was signed with the old one and arrives even later is refused, and read back from the forge's log like everything missed.

use domain::event::SUBSCRIBED;
use forge::{ForgeError, HookNumber, HookSpec};
use store::{StoreError, connections::Connection, hooks, repositories};

use super::make_hook::secret;
use crate::{failure::StepError, platform::Platform};

pub(super) async fn run(platform: &Platform, connection: Connection) -> Result<(), StepError> {
    let id = super::repository(&connection)?;
    let planned = connection
        .hook
        .as_ref()
        .ok_or_else(|| StepError::fatal("connection_incomplete", "this connection was made without a secret"))?;
    let mut tx = platform.store.begin().await?;
    let registered = hooks::of_repository(&mut tx, id).await?.into_iter().find(|hook| hook.id == planned.id);
    let row = repositories::get(&mut tx, id).await?;
    tx.commit().await.map_err(StoreError::from)?;
    let registered = registered.ok_or_else(gone)?;
    let forge = platform.forge.open(&row).await?;
    let (number, secret) = (HookNumber(registered.forge_hook_id), secret(platform, planned)?);
    let spec = HookSpec { url: &planned.url, secret: Some(&secret), active: true, events: &SUBSCRIBED };
    platform.forge.pace(&forge).await?;
    match forge.provider.update_hook(&forge.repo, number, &spec).await {
        Err(ForgeError::NotFound) => return Err(gone()),
        other => other?,
    };
    hooks::retire_previous(&mut *platform.store.acquire().await?, planned.id, &planned.secret).await?;
    // Signed with the new secret: the forge's log shows that it is taken.
    platform.forge.pace(&forge).await?;
    Ok(forge.provider.ping_hook(&forge.repo, number).await?)
}

fn gone() -> StepError {
    StepError::fatal("hook_gone", domain::sentences::hook_gone())
}
