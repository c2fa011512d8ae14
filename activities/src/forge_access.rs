//! The way to the forge: opens the sealed credential of a repository, and writes at the pace that is asked for.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use domain::{
    connection::CredentialKind,
    ids::{CredentialId, RunId},
};
use forge::{
    Clock, Credential, ForgeRepoId, RepoRef, RepositoryProvider, Secret,
    git::GitAuth,
    github::{GitHub, Observer, Scope, SharedLimit},
    seal::OpeningKeys,
};
use store::{
    Store,
    credentials::{self, Learnt},
    pacing::Urgency,
    repositories::Repository,
};
use telemetry::Telemetry;
use tokio::sync::Mutex;
use url::Url;

use crate::{
    failure::StepError,
    write_pace::{Line, WritePace},
};

/// Opens credentials and makes clients, one a credential and repository: an App's tokens are cut to one.
pub struct ForgeAccess {
    store: Store,
    keys: OpeningKeys,
    base_url: Url,
    clock: Clock,
    pace: WritePace,
    telemetry: Arc<Telemetry>,
    clients: Mutex<HashMap<(CredentialId, ForgeRepoId), Arc<dyn RepositoryProvider>>>,
    /// What the forge tells one client of a credential holds for the others.
    limits: std::sync::Mutex<HashMap<CredentialId, SharedLimit>>,
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

/// The way to a repository of which only the name is known.
pub struct ForgeByName {
    /// Asks and writes.
    pub provider: Box<dyn RepositoryProvider>,
    /// The kind of credential that it is asked with.
    pub kind: CredentialKind,
}

impl ForgeAccess {
    /// `base_url` is where the forge's REST API is.
    #[must_use]
    pub fn new(store: Store, keys: OpeningKeys, base_url: Url, clock: Clock, telemetry: Arc<Telemetry>) -> Self {
        let (clients, limits) = (Mutex::default(), std::sync::Mutex::default());
        let pace = WritePace::new(store.clone(), Arc::clone(&clock));
        Self { store, keys, base_url, clock, pace, telemetry, clients, limits }
    }

    /// The same without any pace of writes.
    #[must_use]
    pub fn unpaced(self) -> Self {
        Self { pace: self.pace.unkept(), ..self }
    }

    /// The way to a repository.
    ///
    /// # Errors
    /// When it has no credential, or one that does not open with our keys.
    pub async fn open(&self, repository: &Repository) -> Result<ForgeRepo, StepError> {
        let id = repository.credential.ok_or_else(|| {
            StepError::fatal("credential_missing", domain::sentences::no_credential(repository.full_name()))
        })?;
        let repo = RepoRef {
            owner: repository.owner.clone(),
            name: repository.name.clone(),
            forge_id: ForgeRepoId(repository.forge_repo_id),
        };
        let stored = self.stored(id).await?;
        let provider = self.client(&stored, &repo).await?;
        let token = provider.git_token().await?;
        let expires_at = provider.credential_expires_at();
        if expires_at.is_some() && expires_at != stored.expires_at {
            let learnt = Learnt { login: None, expires_at };
            credentials::learn(&mut *self.store.acquire().await?, id, learnt).await?;
        }
        let clone_url = clone_url(&self.base_url, &repo);
        let git = GitAuth::new(&clone_url, token).map_err(|error| StepError::fatal("forge_url", error.to_string()))?;
        Ok(ForgeRepo { provider, repo, git, clone_url, credential: id })
    }

    /// The way to a repository of which only the name is known.
    ///
    /// # Errors
    /// When the credential does not open with our keys.
    pub async fn open_by_name(&self, id: CredentialId, owner: &str, name: &str) -> Result<ForgeByName, StepError> {
        let stored = self.stored(id).await?;
        let scope = Scope { owner: owner.to_owned(), name: name.to_owned(), forge_id: None };
        Ok(ForgeByName { provider: Box::new(self.make_client(&stored, scope)?), kind: stored.kind })
    }

    /// Opens a text that was sealed for the worker.
    ///
    /// # Errors
    /// When it does not open with our keys.
    pub fn open_text(&self, key_id: &str, sealed: &[u8]) -> Result<Secret, StepError> {
        let opened = self.keys.open(key_id, sealed).map_err(|error| StepError::fatal("sealed", error.to_string()))?;
        let text =
            std::str::from_utf8(&opened).map_err(|_| StepError::fatal("sealed", "what was sealed is no text"))?;
        Ok(Secret::new(text))
    }

    async fn stored(&self, id: CredentialId) -> Result<credentials::Credential, StepError> {
        let stored = credentials::get(&mut *self.store.acquire().await?, id).await?;
        stored
            .filter(|stored| stored.revoked_at.is_none())
            .ok_or_else(|| StepError::fatal("credential_missing", domain::sentences::credential_withdrawn()))
    }

    /// What is inside a credential never changes, so a client is good for as long as the credential is.
    async fn client(
        &self,
        stored: &credentials::Credential,
        repo: &RepoRef,
    ) -> Result<Arc<dyn RepositoryProvider>, StepError> {
        let mut clients = self.clients.lock().await;
        let key = (stored.id, repo.forge_id);
        if let Some(client) = clients.get(&key) {
            return Ok(Arc::clone(client));
        }
        let scope = Scope { owner: repo.owner.clone(), name: repo.name.clone(), forge_id: Some(repo.forge_id) };
        let client: Arc<dyn RepositoryProvider> = Arc::new(self.make_client(stored, scope)?);
        clients.insert(key, Arc::clone(&client));
        Ok(client)
    }

    fn make_client(&self, stored: &credentials::Credential, scope: Scope) -> Result<GitHub, StepError> {
        let sealed = |error: &dyn std::error::Error| StepError::fatal("credential_sealed", error.to_string());
        let opened = self.keys.open(&stored.key_id, &stored.sealed).map_err(|error| sealed(&error))?;
        let credential = Credential::from_plaintext(stored.kind, &opened).map_err(|error| sealed(&error))?;
        let clock = Arc::clone(&self.clock);
        let client = GitHub::for_repository(self.base_url.as_str(), credential, scope, clock, Default::default())?;
        Ok(client.observed_by(self.observer(stored.id)).sharing(self.limit(stored.id)))
    }

    fn limit(&self, credential: CredentialId) -> SharedLimit {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        limits.entry(credential).or_default().clone()
    }

    fn observer(&self, id: CredentialId) -> Observer {
        let (telemetry, credential) = (Arc::clone(&self.telemetry), id.to_string());
        Arc::new(move |exchange| {
            telemetry.metrics.forge_request(&exchange.method, exchange.status, exchange.took);
            if let Some(remaining) = exchange.remaining {
                telemetry.metrics.forge_remaining(&credential, remaining);
            }
        })
    }

    /// Waits until a write is allowed. Writes go one at a time and slowly: forges ban those that hurry. Nobody may hold a connection to
    /// the database meanwhile.
    ///
    /// # Errors
    /// [`StepError::NotBefore`] when the wait is long enough to be worth showing.
    pub async fn pace(&self, to: &ForgeRepo) -> Result<(), StepError> {
        self.pace_credential(to.credential).await
    }

    /// The same for a write of a run that may be more than ordinary, or one of several.
    ///
    /// # Errors
    /// See [`Self::pace`].
    pub async fn pace_for(
        &self,
        to: &ForgeRepo,
        run: RunId,
        (urgency, line): (Urgency, Line),
    ) -> Result<(), StepError> {
        self.pace.take(to.credential, Some(run), (urgency, line)).await
    }

    /// The same as [`Self::pace`] where only the credential is known.
    ///
    /// # Errors
    /// See [`Self::pace`].
    pub async fn pace_credential(&self, id: CredentialId) -> Result<(), StepError> {
        self.pace.take(id, None, (Urgency::Ordinary, Line::End)).await
    }

    /// How long a run has to wait for its turn to make an ordinary write; nothing where it is near.
    #[must_use]
    pub fn turn_to_write(&self, of: CredentialId, run: RunId) -> Duration {
        self.pace.turn(of, run)
    }

    /// Takes a write that is worth no waiting, if one may go out now; says whether it may.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn take_write_if_free(&self, to: &ForgeRepo, urgency: Urgency) -> Result<bool, StepError> {
        self.pace.take_if_free(to.credential, urgency).await
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
