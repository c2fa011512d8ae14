//! GitHub behind [`RepositoryProvider`](crate::RepositoryProvider).
//!
//! octocrab carries the requests; the bodies are read into structs of our own that ask for no more than we use, so that a field
//! GitHub adds, drops or leaves empty can't fail a run.

mod checks;
mod failure;
mod hooks;
mod issues;
mod provider;
mod pulls;
mod registrations;
mod repos;
mod reviews;
mod rights;
mod route;
mod tokens;
mod transport;
mod wire;

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use chrono::{DateTime, Utc};
use http::HeaderMap;
use tokio::sync::OnceCell;

use crate::{
    Clock, Credential, ForgeError, Secret,
    ids::ForgeRepoId,
    model::{Account, RepoRef, Repository},
};

use tokens::{InstallationTokens, Tokens};
use transport::{Call, Reply, Transport};
pub use {
    tokens::Scope,
    transport::{Exchange, Observer, SharedLimit, Timeouts},
};

/// In which answers tell when a personal access token ends.
const EXPIRY_HEADER: &str = "github-authentication-token-expiration";

/// GitHub (or anything that speaks its REST API) through one credential.
pub struct GitHub {
    transport: Transport,
    tokens: Tokens,
    me: OnceCell<Account>,
    /// When the credential ends, as the last answer told.
    expires_at: RwLock<Option<DateTime<Utc>>>,
    /// Where renamed repositories are now, as learnt from redirects.
    renamed: RwLock<HashMap<ForgeRepoId, RepoRef>>,
}

impl GitHub {
    /// Prepares a client with a token that is used as it is; nothing is sent. Must be called within a tokio runtime, because the
    /// connection pool lives on one.
    ///
    /// # Errors
    /// If `base_url` is no `http` or `https` address, if the token can't be sent in a header, or if no root certificates are found.
    pub fn new(base_url: &str, token: Secret, clock: Clock, timeouts: Timeouts) -> Result<Self, ForgeError> {
        transport::bearer(&token)?;
        Ok(Self::with(Transport::new(base_url, clock, timeouts)?, Tokens::Fixed(token)))
    }

    /// Prepares a client for one repository; nothing is sent.
    ///
    /// # Errors
    /// As [`GitHub::new`]; also if an App's key is none.
    pub fn for_repository(
        base_url: &str,
        credential: Credential,
        scope: Scope,
        clock: Clock,
        timeouts: Timeouts,
    ) -> Result<Self, ForgeError> {
        match credential {
            Credential::Token(token) => Self::new(base_url, token, clock, timeouts),
            Credential::App(app) => {
                let tokens = Tokens::Installation(Box::new(InstallationTokens::new(app, scope)?));
                Ok(Self::with(Transport::new(base_url, clock, timeouts)?, tokens))
            }
        }
    }

    fn with(transport: Transport, tokens: Tokens) -> Self {
        let (expires_at, renamed) = (RwLock::default(), RwLock::default());
        Self { transport, tokens, me: OnceCell::new(), expires_at, renamed }
    }

    /// The same client, with somebody who is told of every request.
    #[must_use]
    pub fn observed_by(mut self, observer: Observer) -> Self {
        self.transport.observer = Some(observer);
        self
    }

    /// The same client, which stops for the same limit as others of its credential.
    #[must_use]
    pub fn sharing(mut self, limit: SharedLimit) -> Self {
        self.transport.limit = limit;
        self
    }

    /// Sends a request about a repository and, if it was answered from another place, learns where the repository is now.
    async fn call(&self, repo: &RepoRef, call: Call) -> Result<Reply, ForgeError> {
        let reply = self.send(call).await?;
        if reply.moved {
            self.learn_new_name(repo).await;
        }
        Ok(reply)
    }

    /// Sends a request. A token that is refused is replaced once, if there is another to be had: nothing was done with it.
    async fn send(&self, call: Call) -> Result<Reply, ForgeError> {
        let token = self.tokens.current(&self.transport).await?;
        let mut answer = self.transport.call(&call, &token).await;
        if matches!(answer, Err(ForgeError::Unauthorised))
            && let Some(other) = self.tokens.instead_of(&self.transport, &token).await?
        {
            answer = self.transport.call(&call, &other).await;
        }
        let reply = answer?;
        if let Some(at) = expiry(&reply.headers) {
            *self.expires_at.write().unwrap_or_else(PoisonError::into_inner) = Some(at);
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

/// GitHub writes `2026-12-31 23:59:59 UTC`, or an offset in the place of the name.
fn expiry(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let text = headers.get(EXPIRY_HEADER)?.to_str().ok()?.trim().replace("UTC", "+0000");
    DateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S %z").ok().map(|at| at.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_the_end_are_read() {
        let read = |text: &str| {
            let headers = [(EXPIRY_HEADER.parse().unwrap(), text.parse().unwrap())].into_iter().collect();
            expiry(&headers).map(|at: DateTime<Utc>| at.to_rfc3339())
        };
        assert_eq!(read("2026-12-31 23:59:59 UTC").as_deref(), Some("2026-12-31T23:59:59+00:00"));
        assert_eq!(read("2026-12-31 23:59:59 -0700").as_deref(), Some("2027-01-01T06:59:59+00:00"));
        assert_eq!(read("some day"), None);
        assert_eq!(expiry(&HeaderMap::new()), None);
    }
}
