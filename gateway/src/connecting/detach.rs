//! Detaching a repository: from the moment of asking nothing starts there; the worker does the rest.

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

use super::{Asking, ConnectError};

/// Who has a repository detached, and how.
pub type Detaching = ConnectionWish;

impl<R: CryptoRng> Asking<'_, R> {
    /// Asks for a repository to be detached. One whose detaching broke off can be asked for again.
    ///
    /// # Errors
    /// [`ConnectError`]
    pub async fn detach(
        &mut self,
        conn: &mut PgConnection,
        repository: RepositoryId,
        wish: &Detaching,
    ) -> Result<ConnectionId, ConnectError> {
        let known = repositories::get(conn, repository).await?;
        self.nothing_under_way(conn, (&known.owner, &known.name)).await?;
        let hooks = hooks::of_repository(conn, repository).await?;
        if known.detached_at.is_some() && known.credential.is_none() && hooks.is_empty() {
            return Err(ConnectError::Detached(known.full_name()));
        }
        repositories::detach(conn, repository, self.now).await?;
        let new = NewConnection { purpose: ConnectionPurpose::Detach, ..about(&known, wish, self.now) };
        self.insert(conn, new).await?;
        Ok(new.id)
    }
}
