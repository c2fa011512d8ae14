//! The only SQL in the tree, one module per aggregate.
//!
//! Functions take a connection, usually that of a transaction which the caller began with [`Store::begin`]: what must
//! become true together is written together. They are safe to repeat, and the time is passed in.

use std::time::Duration;

use sqlx::{
    PgPool, Postgres, Transaction,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};

pub use domain::{event::SubjectKind, intent::IntentKind};
pub use error::{Result, StoreError};
pub use kinds::{CommandKind, CommandState, JobState, StepState};
pub use migrations::migrate;
pub use sqlx::PgConnection;

pub mod attempts;
pub mod audit;
pub mod blobs;
pub mod cancel_marks;
pub mod checkpoints;
pub mod commands;
pub mod connected;
pub mod connections;
pub mod credentials;
pub mod deliveries;
pub mod ends;
pub mod histories;
pub mod hook_logs;
pub mod hooks;
pub mod intents;
pub mod locks;
pub mod log_archives;
pub mod logs;
pub mod model_calls;
pub mod pacing;
pub mod partitions;
pub mod project_schedules;
pub mod reads;
pub mod reconcilers;
pub mod refusals;
pub mod repositories;
pub mod repository_events;
pub mod retention;
pub mod runs;
pub mod slots;
pub mod steps;
pub mod storms;
#[cfg(feature = "testing")]
pub mod testing;

mod convert;
mod error;
mod kinds;
mod migrations;

/// Access to the database. Cloning shares the pool.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
    reads: reads::Reads,
}

impl Store {
    /// Connects, so that a wrong address shows at once.
    ///
    /// # Errors
    /// The address is no Postgres URL, or nothing answers there.
    pub async fn connect(url: &str, max_connections: u32) -> Result<Self> {
        Ok(Self::from_pool(pool_options(max_connections).connect_with(connect_options(url)?).await?))
    }

    /// Connects when first used, so that a role starts while the database is down.
    ///
    /// # Errors
    /// The address is no Postgres URL.
    pub fn connect_lazy(url: &str, max_connections: u32) -> Result<Self> {
        Ok(Self::from_pool(pool_options(max_connections).connect_lazy_with(connect_options(url)?)))
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// It gives none.
    pub async fn ping(&self) -> Result<()> {
        sqlx::query!("select 1 as one").fetch_one(&self.pool).await?;
        Ok(())
    }

    /// Takes a pool that is there already.
    #[must_use]
    pub fn from_pool(pool: PgPool) -> Self {
        let reads = reads::Reads::of_primary(&pool.connect_options());
        Self { pool, reads }
    }

    /// Begins a transaction; it is rolled back unless committed.
    ///
    /// # Errors
    /// There is no connection to be had.
    pub async fn begin(&self) -> Result<Transaction<'static, Postgres>> {
        Ok(self.pool.begin().await?)
    }

    /// Takes a connection for statements that stand alone.
    ///
    /// # Errors
    /// There is no connection to be had.
    pub async fn acquire(&self) -> Result<PoolConnection<Postgres>> {
        Ok(self.pool.acquire().await?)
    }

    /// The pool, to migrate or to close.
    #[must_use]
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }
}

fn connect_options(url: &str) -> Result<PgConnectOptions> {
    let options: PgConnectOptions = url.parse()?;
    // A webhook is answered within 8 s, so a statement or a lock that takes longer than this helps nobody.
    Ok(options.application_name("codex-k8s").options([
        ("statement_timeout", "5s"),
        ("lock_timeout", "4s"),
        ("idle_in_transaction_session_timeout", "30s"),
    ]))
}

fn pool_options(max_connections: u32) -> PgPoolOptions {
    PgPoolOptions::new().max_connections(max_connections).acquire_timeout(Duration::from_secs(3))
}
