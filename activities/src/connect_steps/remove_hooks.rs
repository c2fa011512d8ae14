//! Takes the webhooks away from the forge.
//!
//! They are looked for first: who must not see the webhooks of a repository is told that there is none, and one that is still
//! there would go on sending.

use forge::ForgeError;
use store::{StoreError, connections::Connection, hooks, repositories};

use crate::{failure::StepError, platform::Platform};

pub(super) async fn run(platform: &Platform, connection: Connection) -> Result<(), StepError> {
    let id = super::repository(&connection)?;
    let mut tx = platform.store.begin().await?;
    let ours = hooks::of_repository(&mut tx, id).await?;
    let row = repositories::get(&mut tx, id).await?;
    tx.commit().await.map_err(StoreError::from)?;
    if ours.is_empty() {
        return Ok(());
    }
    if row.detached_at.is_none() {
        return Err(StepError::fatal("attached_again", domain::sentences::attached_again()));
    }
    let forge = platform.forge.open(&row).await?;
    let there = match forge.provider.hooks(&forge.repo).await {
        Err(ForgeError::NotFound) => return Err(unseen(&row.full_name())),
        other => other?,
    };
    for hook in ours {
        if let Some(hook) = there.iter().find(|there| there.id.get() == hook.forge_hook_id) {
            platform.forge.pace(&forge).await?;
            forge.provider.delete_hook(&forge.repo, hook.id).await?;
        }
        hooks::remove(&mut *platform.store.acquire().await?, hook.id).await?;
    }
    Ok(())
}

fn unseen(full_name: &str) -> StepError {
    StepError::fatal("hooks_unseen", domain::sentences::hooks_unseen(full_name))
}
