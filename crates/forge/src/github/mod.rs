//! GitHub behind [`RepositoryProvider`](crate::RepositoryProvider).
//!
//! octocrab carries the requests; the bodies are read into structs of our own that ask for no more than we use, so that a field
//! GitHub adds, drops or leaves empty can't fail a run.

mod failure;
mod hooks;
mod issues;
mod provider;
mod pulls;
mod repos;
mod reviews;
mod route;
mod transport;
mod wire;

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use tokio::sync::OnceCell;

use crate::{
    Clock, ForgeError, Secret,
    ids::ForgeRepoId,
    model::{Account, RepoRef, Repository},
};

pub use transport::Timeouts;
use transport::{Call, Reply, Transport};

/// GitHub (or anything that speaks its REST API) through one token.
pub struct GitHub {
    transport: Transport,
    me: OnceCell<Account>,
    /// Where renamed repositories are now, as learnt from redirects.
    renamed: RwLock<HashMap<ForgeRepoId, RepoRef>>,
}

impl GitHub {
    /// Prepares a client; nothing is sent. Must be called within a tokio runtime, because the connection pool lives on one.
    ///
    /// # Errors
    /// If `base_url` is no `http` or `https` address, if the token can't be sent in a header, or if no root certificates are found.
    pub fn new(base_url: &str, token: Secret, clock: Clock, timeouts: Timeouts) -> Result<Self, ForgeError> {
        let transport = Transport::new(base_url, token, clock, timeouts)?;
        Ok(Self { transport, me: OnceCell::new(), renamed: RwLock::default() })
    }

    /// Sends a request about a repository and, if it was answered from another place, learns where the repository is now.
    async fn call(&self, repo: &RepoRef, call: Call) -> Result<Reply, ForgeError> {
        let reply = self.transport.call(call).await?;
        if reply.moved {
            self.learn_new_name(repo).await;
        }
        Ok(reply)
    }

    /// Never fails the request that showed the move: that one is done, and the next is redirected again.
    async fn learn_new_name(&self, repo: &RepoRef) {
        match self.repository_by_id(repo.forge_id).await {
            Ok(Repository { repo: now, .. }) => {
                tracing::info!(forge_repo_id = %repo.forge_id, from = %repo, to = %now, "repository moved");
                self.renamed.write().unwrap_or_else(PoisonError::into_inner).insert(repo.forge_id, now);
            }
            Err(error) => {
                tracing::warn!(forge_repo_id = %repo.forge_id, %error, "repository moved, but its new name is not known");
            }
        }
    }

    /// The present place of a repository, as far as it is known here.
    fn current(&self, repo: &RepoRef) -> RepoRef {
        let renamed = self.renamed.read().unwrap_or_else(PoisonError::into_inner);
        renamed.get(&repo.forge_id).unwrap_or(repo).clone()
    }
}
