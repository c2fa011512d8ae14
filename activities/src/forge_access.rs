//! The way to the forge: opens the sealed credential of a repository and keeps the pace of writes.

use std::{collections::HashMap, sync::Arc, time::Duration};

use domain::ids::CredentialId;
use forge::{Clock, ForgeRepoId, RepoRef, RepositoryProvider, Secret, git::GitAuth, github::GitHub, seal::OpeningKeys};
use store::{
    Store,
    pacing::{self, Taken, Urgency},
    repositories::Repository,
};
use tokio::sync::Mutex;
use url::Url;

use crate::failure::StepError;

/// A wait shorter than this is slept; a longer one is given back to the engine, which can show it.
const SLEPT_WAIT: Duration = Duration::from_secs(3);

/// Opens credentials and makes clients, one a credential.
pub struct ForgeAccess {
    store: Store,
    keys: OpeningKeys,
    base_url: Url,
    clock: Clock,
    paced: bool,
    clients: Mutex<HashMap<CredentialId, Arc<dyn RepositoryProvider>>>,
}

/// A repository together with the right to work on it.
pub struct ForgeRepo {
    /// Asks and writes.
    pub provider: Arc<dyn RepositoryProvider>,
    /// Where it is.
    pub repo: RepoRef,
    /// The credential in git's form.
    pub git: GitAuth,
    /// Where git finds it.
    pub clone_url: String,
    credential: CredentialId,
}

impl ForgeAccess {
    /// `base_url` is where the forge's REST API is.
    #[must_use]
    pub fn new(store: Store, keys: OpeningKeys, base_url: Url, clock: Clock) -> Self {
        Self { store, keys, base_url, clock, paced: true, clients: Mutex::default() }
    }

    /// The same without any pace of writes.
    #[must_use]
    pub fn unpaced(self) -> Self {
        Self { paced: false, ..self }
    }

    /// The way to a repository.
    ///
    /// # Errors
    /// When it has no credential, or one that does not open with our key.
    pub async fn open(&self, repository: &Repository) -> Result<ForgeRepo, StepError> {
        let id = repository.credential.ok_or_else(|| {
            StepError::fatal(
                "credential_missing",
                format!("{}/{} has no credential", repository.owner, repository.name),
            )
        })?;
        let mut conn = self.store.acquire().await?;
        let sealed = store::credentials::get(&mut conn, id).await?;
        let Some(sealed) = sealed.filter(|sealed| sealed.revoked_at.is_none()) else {
            return Err(StepError::fatal("credential_missing", "the credential of this repository was taken back"));
        };
        drop(conn);
        let opened =
            self.keys.open(&sealed.sealed).map_err(|error| StepError::fatal("credential_sealed", error.to_string()))?;
        let token = std::str::from_utf8(&opened)
            .map_err(|_| StepError::fatal("credential_sealed", "the credential is no text"))?;
        let token = Secret::new(token.trim());
        let repo = RepoRef {
            owner: repository.owner.clone(),
            name: repository.name.clone(),
            forge_id: ForgeRepoId(repository.forge_repo_id),
        };
        let clone_url = clone_url(&self.base_url, &repo);
        let provider = self.client(id, &token).await?;
        let git = GitAuth::new(&clone_url, token).map_err(|error| StepError::fatal("forge_url", error.to_string()))?;
        Ok(ForgeRepo { provider, repo, git, clone_url, credential: id })
    }

    async fn client(&self, id: CredentialId, token: &Secret) -> Result<Arc<dyn RepositoryProvider>, StepError> {
        let mut clients = self.clients.lock().await;
        if let Some(client) = clients.get(&id) {
            return Ok(Arc::clone(client));
        }
        let client = GitHub::new(self.base_url.as_str(), token.clone(), Arc::clone(&self.clock), Default::default())?;
        let client: Arc<dyn RepositoryProvider> = Arc::new(client);
        clients.insert(id, Arc::clone(&client));
        Ok(client)
    }

    /// Waits until a write is allowed. Writes go one at a time and slowly: forges ban those that hurry.
    ///
    /// # Errors
    /// [`StepError::NotBefore`] when the wait is long enough to be worth showing.
    pub async fn pace(&self, to: &ForgeRepo) -> Result<(), StepError> {
        self.pace_for(to, Urgency::Ordinary).await
    }

    /// The same for a write that may be more than ordinary.
    ///
    /// # Errors
    /// See [`Self::pace`].
    pub async fn pace_for(&self, to: &ForgeRepo, urgency: Urgency) -> Result<(), StepError> {
        if !self.paced {
            return Ok(());
        }
        loop {
            let now = (self.clock)();
            let mut tx = self.store.begin().await?;
            let taken = pacing::take(&mut tx, to.credential, urgency, now).await?;
            tx.commit().await.map_err(store::StoreError::from)?;
            let at = match taken {
                Taken::Now => return Ok(()),
                Taken::At(at) => at,
            };
            let wait = (at - now).to_std().unwrap_or_default();
            if wait > SLEPT_WAIT {
                return Err(StepError::NotBefore {
                    at,
                    message: format!(
                        "Our own limit of writes to the forge is reached until {}.",
                        at.format("%Y-%m-%d %H:%M:%S UTC")
                    ),
                });
            }
            tokio::time::sleep(wait.max(Duration::from_millis(20))).await;
        }
    }
}

/// GitHub's REST API has a host (`api.`) or a path (`/api/v3`) of its own; git is at the root of the web host.
fn clone_url(base: &Url, repo: &RepoRef) -> String {
    let mut root = base.clone();
    if let Some(host) = base.host_str().and_then(|host| host.strip_prefix("api.")) {
        // A host that was valid stays valid without its first label.
        let _ = root.set_host(Some(host));
    }
    root.set_path(&format!("/{}/{}.git", repo.owner, repo.name));
    root.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_is_at_the_root_of_the_web_host() {
        let repo = RepoRef { owner: "acme".into(), name: "greeter".into(), forge_id: ForgeRepoId(1) };
        for (base, expected) in [
            ("https://api.github.com", "https://github.com/acme/greeter.git"),
            ("https://forge.example/api/v3", "https://forge.example/acme/greeter.git"),
            ("http://127.0.0.1:7500/", "http://127.0.0.1:7500/acme/greeter.git"),
        ] {
            assert_eq!(clone_url(&Url::parse(base).unwrap(), &repo), expected);
        }
    }
}
