//! A new secret for the webhook of a repository.
//!
//! From the moment of asking both secrets are good; the worker tells the forge of the new one, and lets the old one go. A rotation
//! that broke off may have told the forge or not: the next one tells it the same new secret, and never makes a third. A webhook
//! that signs with the secret of the whole platform gets one of its own.

use domain::{
    connection::ConnectionPurpose,
    ids::{ConnectionId, RepositoryId},
};
use ingest::connections::about;
use rand::CryptoRng;
use store::{
    PgConnection,
    connections::{ConnectionWish, NewConnection},
    hooks, repositories,
};
use url::Url;

use super::{Asking, ConnectError, ConnectKeys, hook_url, new_secret};
use crate::{hook_secrets, webhooks::HookSecret};

/// A webhook that is to get a new secret.
#[derive(Clone, Copy, Debug)]
pub struct RotateRequest<'a> {
    /// Whose.
    pub repository: RepositoryId,
    /// Where the forge reaches the gateway.
    pub public_url: &'a Url,
    /// The secret of the whole platform, where it is known.
    pub platform_secret: Option<&'a HookSecret>,
}

impl<R: CryptoRng> Asking<'_, R> {
    /// Asks for a new secret of a repository's webhook.
    ///
    /// # Errors
    /// [`ConnectError`]
    pub async fn rotate(
        &mut self,
        conn: &mut PgConnection,
        keys: &ConnectKeys,
        request: &RotateRequest<'_>,
    ) -> Result<ConnectionId, ConnectError> {
        let known = repositories::get(conn, request.repository).await?;
        let full_name = known.full_name();
        if known.detached_at.is_some() {
            return Err(ConnectError::Detached(full_name));
        }
        self.nothing_under_way(conn, (&known.owner, &known.name)).await?;
        if known.credential.is_none() {
            return Err(ConnectError::NoCredential(full_name));
        }
        let hook = hooks::of_repository(conn, known.id).await?.into_iter().next();
        let hook = hook.ok_or_else(|| ConnectError::NoHook(full_name.clone()))?;
        let (secret, previous) = match (hook.current, hook.previous) {
            (Some(current), Some(previous)) => (hook_secrets::open(&keys.gateway, hook.id, &current)?, previous),
            (Some(current), None) => (new_secret(self.rng), current),
            (None, _) => {
                let platforms = request.platform_secret.ok_or(ConnectError::PlatformSecret(full_name))?;
                (new_secret(self.rng), hook_secrets::seal(&keys.gateway, hook.id, platforms.expose())?)
            }
        };
        let planned = self.plan(keys, (hook.id, hook_url(request.public_url)?), &secret)?;
        hooks::set_secrets(conn, hook.id, &planned.secret, Some(&previous)).await?;
        let wish = ConnectionWish::default();
        let new = NewConnection {
            purpose: ConnectionPurpose::Rotate,
            hook: Some(&planned),
            ..about(&known, &wish, self.now)
        };
        self.insert(conn, new).await?;
        Ok(new.id)
    }
}
