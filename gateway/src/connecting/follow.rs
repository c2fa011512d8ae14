//! Following a connection to its end.

use std::time::Duration;

use domain::{
    connection::ConnectionState,
    ids::{ConnectionId, Instance},
    workflow_id,
};
use store::{
    Store, StoreError, commands,
    connections::{self, Connection},
};

/// How often is looked.
const PERIOD: Duration = Duration::from_millis(250);

/// Nobody has taken a connection up for so long that it is worth a word.
const SLOW: Duration = Duration::from_secs(8);

/// What there is to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A step has begun, or it waits for something.
    Step(String),
    /// The command still lies in the outbox.
    NotDelivered,
    /// The workflow is started, and no worker has taken it up.
    NoWorker,
}

/// Tells each change until the connection has ended; gives it as it is then. Ends when dropped: the connection goes on without.
///
/// # Errors
/// The database fails.
pub async fn follow(
    store: &Store,
    instance: &Instance,
    id: ConnectionId,
    mut tell: impl FnMut(&Heard),
) -> Result<Connection, StoreError> {
    let begun = tokio::time::Instant::now();
    let mut told = None;
    loop {
        let connection = connections::get(&mut *store.acquire().await?, id).await?;
        if matches!(connection.state, ConnectionState::Done | ConnectionState::Failed) {
            return Ok(connection);
        }
        let heard = match stands(&connection) {
            Some(words) => Some(Heard::Step(words)),
            None if begun.elapsed() < SLOW => None,
            None => {
                let workflow_id = workflow_id::connect_repository(instance, id);
                let waiting = commands::pending(&mut *store.acquire().await?, &workflow_id, 1).await?;
                Some(if waiting.is_empty() { Heard::NoWorker } else { Heard::NotDelivered })
            }
        };
        if let Some(heard) = heard.filter(|heard| told.as_ref() != Some(heard)) {
            tell(&heard);
            told = Some(heard);
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// Where a connection is, in words; none if nobody has taken it up.
#[must_use]
pub fn stands(connection: &Connection) -> Option<String> {
    let step = connection.step?;
    Some(connection.message.clone().unwrap_or_else(|| format!("{} …", step.describe())))
}

impl Heard {
    /// For the terminal.
    #[must_use]
    pub fn words(&self) -> &str {
        match self {
            Self::Step(words) => words,
            Self::NotDelivered => {
                "Nobody has passed it on yet: are the gateway and Temporal running? It stays stored and goes on once they are; \
                 Ctrl-C ends only the waiting."
            }
            Self::NoWorker => {
                "No worker has taken it up yet: is one running? It goes on once there is one; Ctrl-C ends only the waiting."
            }
        }
    }
}
