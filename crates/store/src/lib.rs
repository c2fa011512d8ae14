//! The only SQL in the tree, one module per aggregate.
//!
//! Functions take a connection, usually that of a transaction which the caller began with [`Store::begin`]: what must
//! become true together is written together. They are safe to repeat, and the time is passed in.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use domain::ids::{Attempt, RunId};
use sqlx::{
    Connection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};

pub use domain::{event::SubjectKind, intent::IntentKind};
pub use error::{Result, StoreError};
pub use kinds::{CommandKind, CommandState, JobState, ModelCallKind, StepState, UploadKind};
pub use migrations::{AppliedMigration, Schema, last_migration, migrate, schema};
pub use sqlx::PgConnection;

pub mod agent_versions;
pub mod api_tokens;
pub mod attempts;
pub mod attention;
pub mod audit;
#[cfg(feature = "testing")]
pub mod benching;
#[cfg(feature = "testing")]
pub mod benching_api;
pub mod blobs;
pub mod cancel_marks;
pub mod checkpoints;
pub mod commands;
pub mod connected;
pub mod connections;
pub mod credentials;
pub mod deliveries;
pub mod doorbell;
pub mod egress;
pub mod ends;
pub mod gauges;
pub mod histories;
pub mod hook_logs;
pub mod hooks;
pub mod idempotency;
pub mod intents;
pub mod job_events;
pub mod job_failures;
pub mod live;
pub mod locks;
pub mod log_archives;
pub mod logs;
pub mod members;
pub mod model_budgets;
pub mod model_calls;
pub mod model_gateways;
pub mod operator_grants;
pub mod pacing;
pub mod partitions;
pub mod pauses;
pub mod people;
pub mod project_deletions;
pub mod project_export;
pub mod project_schedules;
pub mod reads;
pub mod reconcilers;
pub mod refusals;
pub mod repositories;
pub mod repository_events;
pub mod retention;
pub mod role_settings;
pub mod runs;
pub mod sessions;
pub mod signing_keys;
pub mod slots;
pub mod steps;
pub mod storms;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tokens;
pub mod uploads;

mod convert;
mod error;
mod kinds;
mod migrations;

/// Access to the database. Cloning shares the pool.
#[derive(Clone)]
pub struct Store {
    pool: PgPool,
    reads: reads::Reads,
    waits: Option<WaitObserver>,
    doorbell: doorbell::Doorbell,
}

/// A transaction, as [`Store::begin`] begins it.
pub type Transaction = sqlx::Transaction<'static, Postgres>;

/// Is told how long somebody waited for a connection.
pub type WaitObserver = Arc<dyn Fn(Duration) + Send + Sync>;

/// The pool's connections at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Open ones.
    pub open: u32,
    /// Of them, those that nobody uses.
    pub idle: u32,
    /// How many there may be.
    pub max: u32,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("pool", &self.pool).finish_non_exhaustive()
    }
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

    /// Takes a pool that is there already.
    #[must_use]
    pub fn from_pool(pool: PgPool) -> Self {
        let reads = reads::Reads::of_primary(&pool.connect_options());
        let doorbell = doorbell::Doorbell::new(pool.clone());
        Self { pool, reads, waits: None, doorbell }
    }

    /// Begins a transaction; it is rolled back unless committed.
    ///
    /// # Errors
    /// There is no connection to be had.
    pub async fn begin(&self) -> Result<Transaction> {
        Ok(self.waited_for(self.pool.begin()).await?)
    }

    /// Takes a connection for statements that stand alone.
    ///
    /// # Errors
    /// There is no connection to be had.
    pub async fn acquire(&self) -> Result<PoolConnection<Postgres>> {
        Ok(self.waited_for(self.pool.acquire()).await?)
    }

    /// The same database, with somebody who is told of every wait for a connection.
    #[must_use]
    pub fn with_wait_observer(self, observer: WaitObserver) -> Self {
        Self { waits: Some(observer), ..self }
    }

    /// The connections at this moment.
    #[must_use]
    pub fn connections(&self) -> Connections {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Connections {
            open: self.pool.size(),
            idle: count(self.pool.num_idle()),
            max: self.pool.options().get_max_connections(),
        }
    }

    /// Tells every gateway, soon, that a run has changed. To be called after the commit.
    pub fn ring(&self, run: RunId) {
        self.doorbell.ring(|ring| {
            ring.runs.insert(run);
        });
    }

    /// Tells every gateway, soon, where the log of an attempt goes on after what was just stored.
    pub fn ring_log(&self, run: RunId, attempt: Attempt, next: u64) {
        self.doorbell.ring(|ring| {
            ring.logs.insert((run, attempt), next);
        });
    }

    /// Hears what is rung.
    ///
    /// # Errors
    /// There is no connection to be had.
    pub async fn ear(&self) -> Result<doorbell::Ear> {
        doorbell::Ear::listen(self.pool.connect_options().as_ref().clone()).await
    }

    async fn waited_for<T>(&self, connection: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
        let began = Instant::now();
        let had = connection.await;
        if let Some(observer) = &self.waits {
            observer(began.elapsed());
        }
        had
    }

    /// The pool, to migrate or to close.
    #[must_use]
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }
}

/// How long an idle connection is trusted without being asked.
const FRESH: Duration = Duration::from_secs(1);

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
    // A connection that was used a moment ago is there: asking it each time would cost every transaction a round trip.
    let options = PgPoolOptions::new().max_connections(max_connections).acquire_timeout(Duration::from_secs(3));
    options.test_before_acquire(false).before_acquire(|conn, meta| {
        Box::pin(async move {
            if meta.idle_for > FRESH {
                conn.ping().await?;
            }
            Ok(true)
        })
    })
}
