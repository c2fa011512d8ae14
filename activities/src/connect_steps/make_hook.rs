//! Makes the webhook, or finds it: by the address that it delivers to.
//!
//! A new hook is made asleep and woken once its secret is where the gateway looks for it, so that no event arrives in between.

use domain::{event::SUBSCRIBED, ids::RepositoryId};
use forge::{Hook, HookSpec, Secret};
use store::{
    connections::{self, Connection, PlannedHook},
    hooks::{self, NewHook},
    repositories,
};

use crate::{failure::StepError, forge_access::ForgeRepo, platform::Platform};

pub(super) async fn run(platform: &Platform, connection: Connection) -> Result<(), StepError> {
    let (Some(planned), Some(repository)) = (&connection.hook, connection.repository) else {
        return Err(StepError::fatal("connection_incomplete", "this connection was not made to make a webhook"));
    };
    let row = repositories::get(&mut *platform.store.acquire().await?, repository).await?;
    let forge = platform.forge.open(&row).await?;
    let making = Making { platform, forge: &forge, planned, repository };
    let there = forge.provider.hooks(&forge.repo).await?.into_iter().find(|hook| hook.url == planned.url);
    match there {
        None => making.make().await?,
        Some(hook) => {
            let known = hooks::secrets_for(&mut *platform.store.acquire().await?, hook.id.get()).await?.is_some();
            if known {
                making.repair(&hook).await?;
            } else {
                making.take_over(&hook).await?;
            }
        }
    }
    Ok(connections::forget_copy(&mut *platform.store.acquire().await?, connection.id, platform.now()).await?)
}

struct Making<'a> {
    platform: &'a Platform,
    forge: &'a ForgeRepo,
    planned: &'a PlannedHook,
    repository: RepositoryId,
}

impl Making<'_> {
    async fn make(&self) -> Result<(), StepError> {
        let secret = self.secret()?;
        self.platform.forge.pace(self.forge).await?;
        let asleep = self.spec(Some(&secret), false);
        let hook = self.forge.provider.create_hook(&self.forge.repo, &asleep).await?;
        self.store(&hook).await?;
        self.wake(&hook).await
    }

    /// One that nobody here has a secret of: made by an earlier try, or by hand.
    async fn take_over(&self, hook: &Hook) -> Result<(), StepError> {
        let secret = self.secret()?;
        self.platform.forge.pace(self.forge).await?;
        let awake = self.spec(Some(&secret), true);
        self.forge.provider.update_hook(&self.forge.repo, hook.id, &awake).await?;
        self.store(hook).await?;
        self.ping(hook).await
    }

    /// One whose secret is stored keeps it.
    async fn repair(&self, hook: &Hook) -> Result<(), StepError> {
        let complete = SUBSCRIBED.iter().all(|event| hook.events.iter().any(|known| known == event));
        if hook.active && complete {
            return Ok(());
        }
        self.wake(hook).await
    }

    async fn wake(&self, hook: &Hook) -> Result<(), StepError> {
        self.platform.forge.pace(self.forge).await?;
        self.forge.provider.update_hook(&self.forge.repo, hook.id, &self.spec(None, true)).await?;
        self.ping(hook).await
    }

    /// The first sign of life came before the secret was stored; this one shows on the forge that the way is free.
    async fn ping(&self, hook: &Hook) -> Result<(), StepError> {
        self.platform.forge.pace(self.forge).await?;
        Ok(self.forge.provider.ping_hook(&self.forge.repo, hook.id).await?)
    }

    async fn store(&self, hook: &Hook) -> Result<(), StepError> {
        let new = NewHook {
            id: self.planned.id,
            forge_hook_id: hook.id.get(),
            repository: Some(self.repository),
            current: Some(&self.planned.secret),
            previous: None,
            now: self.platform.now(),
        };
        Ok(hooks::insert(&mut *self.platform.store.acquire().await?, new).await.map(drop)?)
    }

    fn spec<'a>(&'a self, secret: Option<&'a Secret>, active: bool) -> HookSpec<'a> {
        HookSpec { url: &self.planned.url, secret, active, events: &SUBSCRIBED }
    }

    fn secret(&self) -> Result<Secret, StepError> {
        secret(self.platform, self.planned)
    }
}

/// The secret that the forge is to know.
pub(super) fn secret(platform: &Platform, planned: &PlannedHook) -> Result<Secret, StepError> {
    let missing = || StepError::fatal("hook_secret_gone", domain::sentences::hook_secret_gone());
    let (key_id, sealed) = planned.copy.as_ref().ok_or_else(missing)?;
    platform.forge.open_text(key_id, sealed)
}
