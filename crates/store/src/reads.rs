//! Reads that tolerate lag: lists and history, for showing and never for deciding.
//!
//! [`Store::read`] answers from the streaming replica where there is one that is near enough, else from the primary: when
//! none is configured, when it is away, when it lags too far, and when it has not come to what the reader wrote themselves.
//! The latter is known by a [`Position`] in the primary's write-ahead log: who has just written takes it after the commit
//! ([`Store::position`]), carries it along, and asks for what is [`Freshness::Since`] it. The replica says how far it has
//! replayed; what a transaction reads after that is at least as new.
//!
//! Every connection in here is read-only, those to the primary, too: a write by mistake fails with and without a replica.

use std::{
    fmt,
    num::ParseIntError,
    ops::{Deref, DerefMut},
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{
    PgConnection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{
    sync::RwLock,
    time::{Instant, timeout},
};

use crate::{Result, Store, StoreError, connect_options};

/// Connections for reads to each side; opened as they are needed.
const CONNECTIONS: u32 = 8;

/// How long a replica may take to say where it is; after it, the primary is asked.
const PATIENCE: Duration = Duration::from_millis(500);

/// A replica that failed is left alone for so long, so that not every read waits for it.
const REST: Duration = Duration::from_secs(3);

/// A place in the primary's write-ahead log. To be carried along as text; it means nothing outside this database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(i64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl FromStr for Position {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        i64::from_str_radix(text, 16).map(Self)
    }
}

/// How new the answer to a read has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// As new as the replica is, within its greatest lag.
    Tolerant,
    /// At least as new as this: the reader's own last write.
    Since(Position),
}

/// Where a streaming replica is, and how far it may lag.
#[derive(Clone, Copy, Debug)]
pub struct ReplicaOptions<'a> {
    /// Its address.
    pub url: &'a str,
    /// One that is further behind is not asked. The clocks of the two servers are compared.
    pub max_lag: Duration,
}

/// The sides that reads go to.
#[derive(Clone, Debug)]
pub(crate) struct Reads {
    primary: PgPool,
    replica: Option<Arc<Replica>>,
}

#[derive(Debug)]
struct Replica {
    pool: PgPool,
    max_lag: Duration,
    /// Left alone until then.
    rests_until: RwLock<Option<Instant>>,
    /// So that an outage is told once, not with each read.
    told: AtomicBool,
}

/// Where a replica is.
struct Place {
    /// None if it is no replica, or no longer one: then it has everything.
    replayed: Option<i64>,
    lag: f64,
}

impl Reads {
    /// Everything from the primary.
    pub(crate) fn of_primary(options: &PgConnectOptions) -> Self {
        Self { primary: pool(options.clone()), replica: None }
    }
}

fn pool(options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(Duration::from_secs(3))
        // A list has many filters, most of them unused: only a plan that knows which is a good one.
        .connect_lazy_with(
            options.options([("default_transaction_read_only", "on"), ("plan_cache_mode", "force_custom_plan")]),
        )
}

impl Store {
    /// The same store with a replica for its reads. It is connected to when first used, and may be away.
    ///
    /// # Errors
    /// The address is no Postgres URL.
    pub fn with_replica(mut self, options: ReplicaOptions<'_>) -> Result<Self> {
        let replica = Replica {
            pool: pool(connect_options(options.url)?),
            max_lag: options.max_lag,
            rests_until: RwLock::default(),
            told: AtomicBool::new(false),
        };
        self.reads.replica = Some(Arc::new(replica));
        Ok(self)
    }

    /// How far the primary has written. After a commit: at or behind what it wrote.
    ///
    /// # Errors
    /// The database fails.
    pub async fn position(&self) -> Result<Position> {
        // Not what is flushed: with asynchronous commits that may be before the commit.
        let at = sqlx::query_scalar!("select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint as \"at!\"")
            .fetch_one(&mut *self.acquire().await?)
            .await?;
        Ok(Position(at))
    }

    /// How the replica is, looked at now; none if there is none by the settings.
    pub async fn replica_state(&self) -> Option<ReplicaState> {
        let replica = self.reads.replica.as_ref()?;
        Some(match timeout(PATIENCE, replica.ask()).await {
            Ok(Ok((_, place))) if replica.is_near(&place, Freshness::Tolerant) => ReplicaState::Near,
            Ok(Ok(_)) => ReplicaState::Lags,
            Ok(Err(_)) | Err(_) => ReplicaState::Away,
        })
    }

    /// Whether the settings name a replica.
    #[must_use]
    pub fn has_replica(&self) -> bool {
        self.reads.replica.is_some()
    }

    /// A connection to look something up for showing, and only that: it is read-only, wherever it leads.
    ///
    /// # Errors
    /// The primary is away, too.
    pub async fn read(&self, freshness: Freshness) -> Result<ReadConnection> {
        if let Some(replica) = &self.reads.replica
            && let Some(conn) = replica.connection(freshness).await
        {
            return Ok(ReadConnection(conn));
        }
        Ok(ReadConnection(self.reads.primary.acquire().await?))
    }
}

/// How the replica is.
#[derive(Clone, Debug, PartialEq)]
pub enum ReplicaState {
    /// It is near enough for reads that tolerate lag.
    Near,
    /// It lags further behind than it may.
    Lags,
    /// It does not answer.
    Away,
}

/// A connection for looking something up: to the replica or to the primary.
#[derive(Debug)]
pub struct ReadConnection(PoolConnection<Postgres>);

impl Deref for ReadConnection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for ReadConnection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}

impl Replica {
    /// A connection to it, if it is there and new enough.
    async fn connection(&self, freshness: Freshness) -> Option<PoolConnection<Postgres>> {
        if !self.is_to_be_asked().await {
            return None;
        }
        let asked = timeout(PATIENCE, self.ask()).await;
        let failure = match asked {
            Ok(Ok((conn, place))) => {
                self.recovered().await;
                return self.is_near(&place, freshness).then_some(conn);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        *self.rests_until.write().await = Some(Instant::now() + REST);
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(error = failure, "the replica can't be read; reads go to the primary until it can");
        }
        None
    }

    /// One reader at a time tries a replica that failed, the others go on without it.
    async fn is_to_be_asked(&self) -> bool {
        if self.rests_until.read().await.is_none() && !self.told.load(Ordering::Relaxed) {
            return true;
        }
        let mut rests_until = self.rests_until.write().await;
        let now = Instant::now();
        if rests_until.is_some_and(|until| now < until) {
            return false;
        }
        *rests_until = Some(now + REST);
        true
    }

    async fn recovered(&self) {
        if self.told.load(Ordering::Relaxed) {
            *self.rests_until.write().await = None;
            self.told.store(false, Ordering::Relaxed);
            tracing::info!("the replica can be read again");
        }
    }

    /// Asked before the read, and not in its transaction: what is read then is at least as new as the answer.
    async fn ask(&self) -> Result<(PoolConnection<Postgres>, Place), StoreError> {
        let mut conn = self.pool.acquire().await?;
        // A replica that has replayed all it got is up to date only while it gets something: its receiver must be there.
        let row = sqlx::query!(
            "select case when pg_is_in_recovery() \
                 then (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint end as replayed, \
             case when not pg_is_in_recovery() or pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() \
                     and exists (select from pg_stat_wal_receiver) then 0 \
                 else coalesce(extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()), 'infinity') \
                 end::float8 as \"lag!\""
        )
        .fetch_one(&mut *conn)
        .await?;
        Ok((conn, Place { replayed: row.replayed, lag: row.lag }))
    }

    fn is_near(&self, place: &Place, freshness: Freshness) -> bool {
        match (place.replayed, freshness) {
            (None, _) => true,
            (Some(replayed), Freshness::Since(position)) => replayed >= position.0,
            (Some(_), Freshness::Tolerant) => place.lag <= self.max_lag.as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_replica_that_failed_rests_and_is_then_tried_by_one_reader() {
        let options = connect_options("postgres://nobody@127.0.0.1:1/nothing").unwrap();
        let replica = Replica {
            pool: pool(options),
            max_lag: Duration::ZERO,
            rests_until: RwLock::default(),
            told: AtomicBool::new(false),
        };
        assert!(replica.is_to_be_asked().await && replica.is_to_be_asked().await, "all may ask one that is well");
        assert!(replica.connection(Freshness::Tolerant).await.is_none());
        assert!(replica.told.load(Ordering::Relaxed));
        assert!(replica.rests_until.read().await.is_some());

        *replica.rests_until.write().await = Some(Instant::now() + Duration::from_secs(3600));
        assert!(!replica.is_to_be_asked().await, "it rests");
        *replica.rests_until.write().await = Some(Instant::now());
        assert!(replica.is_to_be_asked().await, "its rest is over");
        assert!(!replica.is_to_be_asked().await, "one tries it, the others go on without");
        replica.recovered().await;
        assert!(replica.is_to_be_asked().await && replica.is_to_be_asked().await);
    }

    #[test]
    fn positions_are_carried_as_text() {
        for at in [0, 0x16_b3_74_80, i64::MAX] {
            assert_eq!(Position(at).to_string().parse(), Ok(Position(at)));
        }
        assert!("0/16B3748".parse::<Position>().is_err());
        assert!(Position(0xff) < Position(0x100));
    }
}
