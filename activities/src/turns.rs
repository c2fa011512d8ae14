//! Turns at what one alone may do at a time, also across workers.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use store::{
    PgConnection, Store, Transaction,
    locks::{self, Turn},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::failure::StepError;

/// Turns that are held at once. Who has one keeps a connection to the database while the forge answers, and may need a second one: with
/// all connections in such hands nobody could go on, neither they nor anybody else.
const AT_ONCE: usize = 4;

/// Longest that a place is waited for, where the forge keeps all who have one: who waits longer comes back.
const PATIENCE: Duration = Duration::from_secs(30);

/// Gives turns, to a few at a time.
pub struct Turns {
    store: Store,
    places: Arc<Semaphore>,
}

/// Leave to wait for a turn.
pub struct Place<'a> {
    store: &'a Store,
    permit: OwnedSemaphorePermit,
}

/// A turn; it ends with [`Held::done`], or when it is dropped, and then nothing was stored.
pub struct Held {
    tx: Transaction,
    _permit: OwnedSemaphorePermit,
}

impl Turns {
    /// Turns by the locks of this database.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Waits for a place. What may take long on its own and is good for one turn, as leave to write is, is waited for in it: nothing of the
    /// database is held yet.
    ///
    /// # Errors
    /// When none becomes free in time.
    pub async fn place(&self) -> Result<Place<'_>, StepError> {
        let permit = tokio::time::timeout(PATIENCE, Arc::clone(&self.places).acquire_owned()).await;
        let permit = permit.context("others write for too long").map_err(StepError::passing)?;
        Ok(Place { store: &self.store, permit: permit.map_err(StepError::passing)? })
    }
}

impl Place<'_> {
    /// Waits for the turn.
    ///
    /// # Errors
    /// When the database is away, or somebody else's turn does not end in time.
    pub async fn take(self, turn: &Turn) -> Result<Held, StepError> {
        let mut tx = self.store.begin().await?;
        locks::take(&mut tx, turn).await?;
        Ok(Held { tx, _permit: self.permit })
    }
}

impl Held {
    /// The turn's transaction.
    pub fn tx(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// Ends the turn; what was written in its transaction is stored.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn done(self) -> Result<(), StepError> {
        self.tx.commit().await.map_err(store::StoreError::from)?;
        Ok(())
    }
}
