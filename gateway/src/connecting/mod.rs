//! Asking for a repository to be connected, or for something to be done to its connection: for the command line and for the staff
//! API.
//!
//! What is asked is stored whole, in the caller's transaction, with the command that starts the workflow: so what the caller writes
//! down about it holds with it, or neither does. The worker does the rest. The credential is sealed for the worker before it reaches the database. The webhook's secret is made here: one copy under the
//! gateway's own key, to be kept, and one for the worker, which puts it on the forge and deletes it.

mod detach;
mod follow;
mod rotate;
mod settings;
mod table;

use domain::{
    connection::ConnectionPurpose,
    ids::{ConnectionId, HookId, Instance},
    workflow_id,
};
use forge::{
    Credential,
    seal::{SealError, SealingKeys},
};
use ingest::connections::about;
use rand::CryptoRng;
use serde_json::json;
use store::{
    PgConnection, StoreError,
    connections::{self, ConnectionWish, NewConnection, PlannedHook},
    credentials::{self, NewCredential},
    project_deletions,
    repositories::{self, NewProject},
};
use url::Url;
use uuid::Uuid;

use crate::hook_secrets::{self, GatewayKey, NotSealed, SealBroken};

pub(crate) use self::settings::optional_sealing_key;
pub use self::{
    detach::Detaching,
    follow::{Heard, follow, stands},
    rotate::RotateRequest,
    settings::{ConnectSettings, DatabaseSettings},
    table::{repositories_table, rights_table},
};

/// Slots of a project that is made on the way.
pub const DEFAULT_SLOTS: u32 = 3;

/// Bytes of a webhook's secret.
const SECRET_BYTES: usize = 32;

/// The address of the gateway at which webhooks arrive.
const WEBHOOK_PATH: &str = "/webhooks/github";

/// The keys that what is stored is sealed for.
#[derive(Clone, Debug)]
pub struct ConnectKeys {
    /// The gateway's own.
    pub gateway: GatewayKey,
    /// Closes boxes that only the worker opens.
    pub sealing: SealingKeys,
}

/// A repository to be connected.
#[derive(Debug)]
pub struct ConnectRequest<'a> {
    /// Account or organisation.
    pub owner: &'a str,
    /// Name of the repository.
    pub name: &'a str,
    /// Short name of the project; made if there is none of that name.
    pub project: &'a str,
    /// Slots of a project that is made.
    pub slots: u32,
    /// What to work with.
    pub credential: &'a Credential,
    /// Where the forge reaches the gateway.
    pub public_url: &'a Url,
}

/// Why a request was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Another request about it is under way.
    #[error(
        "something is being done to {0} already: wait for its end, or cancel the workflow {1} in Temporal's web UI"
    )]
    UnderWay(String, String),
    /// There is no such repository.
    #[error("{0} is not connected: `codex-k8s repo list` shows what is; connect it with `codex-k8s repo add {0}`")]
    NotConnected(String),
    /// It has no credential.
    #[error("{0} has no credential: connect it again with `codex-k8s repo add {0}`")]
    NoCredential(String),
    /// It has no webhook of its own.
    #[error("{0} has no webhook of its own: connect it again with `codex-k8s repo add {0}`, and one is made")]
    NoHook(String),
    /// Its webhook signs with the secret of the whole platform.
    #[error(
        "the webhook of {0} signs with the platform's own secret: the console, or the staff API, gives it one of its own"
    )]
    PlatformSecret(String),
    /// The secret that is stored does not open.
    #[error(transparent)]
    Sealed(#[from] SealBroken),
    /// It is detached, and nothing is left to be done.
    #[error("{0} is detached already")]
    Detached(String),
    /// Its project is being deleted, or was.
    #[error("project {0} was deleted: choose another name")]
    ProjectDeleted(String),
    /// The address does not lead to a gateway.
    #[error("PUBLIC_URL must be http(s)://host[:port][/path], the address at which the forge reaches the gateway")]
    PublicUrl,
    /// Could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Could not be sealed.
    #[error(transparent)]
    HookSecret(#[from] NotSealed),
    /// The database.
    #[error("the database does not answer as it should: {0}")]
    Store(#[from] StoreError),
}

/// What asking needs at hand. What was asked holds once the transaction is committed.
pub struct Asking<'a, R> {
    /// This installation.
    pub instance: &'a Instance,
    /// Randomness for boxes and secrets.
    pub rng: &'a mut R,
    /// Now.
    pub now: chrono::DateTime<chrono::Utc>,
}

impl<R: CryptoRng> Asking<'_, R> {
    /// Asks for a repository to be connected. What it is called on the forge, and whether the credential suffices, shows later.
    ///
    /// # Errors
    /// [`ConnectError`]
    pub async fn connect(
        &mut self,
        conn: &mut PgConnection,
        keys: &ConnectKeys,
        request: &ConnectRequest<'_>,
    ) -> Result<ConnectionId, ConnectError> {
        let hook = self.plan_hook(keys, request.public_url)?;
        let sealed = keys.sealing.seal(self.rng, &request.credential.to_plaintext())?;
        self.nothing_under_way(conn, (request.owner, request.name)).await?;
        let new = NewProject { slug: request.project, slots: request.slots, settings: json!({}), now: self.now };
        let project = repositories::insert_project(conn, new).await?;
        let new = NewCredential {
            kind: request.credential.kind(),
            key_id: &keys.sealing.key_id,
            sealed: &sealed,
            login: None,
            now: self.now,
        };
        if project_deletions::find(conn, project).await?.is_some() {
            return Err(ConnectError::ProjectDeleted(request.project.to_owned()));
        }
        let credential = credentials::insert(conn, new).await?;
        let id = ConnectionId::from_uuid(Uuid::now_v7());
        let new = NewConnection {
            id,
            purpose: ConnectionPurpose::Connect,
            project,
            credential: Some(credential),
            owner: request.owner,
            name: request.name,
            repository: None,
            hook: Some(&hook),
            wish: &ConnectionWish::default(),
            now: self.now,
        };
        self.insert(conn, new).await?;
        Ok(id)
    }

    /// Asks what the credential of a connected repository may do there.
    ///
    /// # Errors
    /// [`ConnectError`]
    pub async fn check(&mut self, conn: &mut PgConnection, full_name: &str) -> Result<ConnectionId, ConnectError> {
        let all = repositories::list(conn).await?;
        let found = all.into_iter().find(|known| known.full_name().eq_ignore_ascii_case(full_name));
        let known = found.ok_or_else(|| ConnectError::NotConnected(full_name.to_owned()))?;
        let credential = known.credential.ok_or_else(|| ConnectError::NoCredential(full_name.to_owned()))?;
        let wish = ConnectionWish::default();
        let new = NewConnection { credential: Some(credential), ..about(&known, &wish, self.now) };
        self.insert(conn, new).await?;
        Ok(new.id)
    }

    fn plan_hook(&mut self, keys: &ConnectKeys, public_url: &Url) -> Result<PlannedHook, ConnectError> {
        let secret = new_secret(self.rng);
        self.plan(keys, (HookId::from_uuid(Uuid::now_v7()), hook_url(public_url)?), &secret)
    }

    /// A hook with this secret: one copy to be kept here, one for the worker.
    fn plan(
        &mut self,
        keys: &ConnectKeys,
        (id, url): (HookId, String),
        secret: &[u8],
    ) -> Result<PlannedHook, ConnectError> {
        let copy = keys.sealing.seal(self.rng, secret)?;
        let secret = hook_secrets::seal(&keys.gateway, id, secret)?;
        Ok(PlannedHook { id, url, secret, copy: Some((keys.sealing.key_id.clone(), copy)) })
    }

    async fn nothing_under_way(
        &self,
        conn: &mut PgConnection,
        (owner, name): (&str, &str),
    ) -> Result<(), ConnectError> {
        match connections::under_way(conn, owner, name).await? {
            Some(other) => Err(self.under_way((owner, name), other.id)),
            None => Ok(()),
        }
    }

    /// Stores the request with the command that starts its workflow.
    async fn insert(&self, conn: &mut PgConnection, new: NewConnection<'_>) -> Result<(), ConnectError> {
        ingest::connections::ask(conn, self.instance, new).await.map(drop).map_err(|error| match error {
            StoreError::Conflict { .. } => self.under_way((new.owner, new.name), new.id),
            other => other.into(),
        })
    }

    fn under_way(&self, (owner, name): (&str, &str), other: ConnectionId) -> ConnectError {
        ConnectError::UnderWay(format!("{owner}/{name}"), workflow_id::connect_repository(self.instance, other))
    }
}

fn new_secret(rng: &mut impl CryptoRng) -> Vec<u8> {
    let mut bytes = [0; SECRET_BYTES];
    rng.fill_bytes(&mut bytes);
    hex::encode(bytes).into_bytes()
}

/// Where webhooks arrive, below the public address.
fn hook_url(public_url: &Url) -> Result<String, ConnectError> {
    if !matches!(public_url.scheme(), "http" | "https") || !public_url.has_host() {
        return Err(ConnectError::PublicUrl);
    }
    Ok(format!("{}{WEBHOOK_PATH}", public_url.as_str().trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhooks_arrive_below_the_public_address() {
        let url = |text: &str| hook_url(&text.parse().unwrap()).ok();
        assert_eq!(url("https://x.example").as_deref(), Some("https://x.example/webhooks/github"));
        assert_eq!(url("https://x.example/codex/").as_deref(), Some("https://x.example/codex/webhooks/github"));
        assert_eq!(url("mailto:a@x.example"), None);
    }
}
