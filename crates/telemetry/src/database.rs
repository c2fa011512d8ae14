//! The database as a role sees it: its pool, and how much work is in it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use domain::{
    ids::{Attempt, RunId},
    workflow_id,
};
use store::{Schema, Store, attempts, gauges, reads::ReplicaState};
use tokio::sync::Mutex;

use crate::{
    Clock, Telemetry,
    ops::BeforeScrape,
    readiness::{Part, Without},
    traces::{Span, SpanKind, TraceParent},
};

/// Scrapes come every 15 s or so from each collector; the numbers are not read more often than this.
const KEPT: Duration = Duration::from_secs(3);

/// Who scrapes does not wait longer.
const LIMIT: Duration = Duration::from_secs(2);

/// Counts waits for connections of this store, and shows its pool.
#[must_use]
pub fn watched(store: Store, telemetry: &Arc<Telemetry>) -> Store {
    let waits = Arc::clone(telemetry);
    let store = store.with_wait_observer(Arc::new(move |waited| waits.metrics.db_wait(waited)));
    let pool = store.clone();
    telemetry.metrics.watch_pool(Arc::new(move || pool.connections()));
    store
}

impl Telemetry {
    /// Begins a span in the trace of an attempt; one that goes nowhere if what asked for the attempt was not traced.
    pub async fn span_of_attempt(
        &self,
        store: &Store,
        (run, attempt): (RunId, Attempt),
        name: String,
        kind: SpanKind,
    ) -> Span {
        if !self.tracer.is_on() {
            return Span::none();
        }
        let mut span = match trace_of(store, run, attempt).await {
            Some(parent) => self.tracer.beneath(&parent, name, kind),
            None => return Span::none(),
        };
        span.note("codexk8s.run", run);
        span.note("codexk8s.attempt", attempt);
        span
    }

    /// Has the spans of the attempt that a workflow is hang beneath this one.
    pub async fn trace_attempt(&self, store: &Store, workflow_id: &str, span: &Span) {
        let (Some(parent), Some((run, attempt))) = (span.parent(), workflow_id::attempt_of(workflow_id)) else {
            return;
        };
        let kept =
            async { attempts::set_traceparent(&mut *store.acquire().await?, run, attempt, &parent.to_string()).await };
        if let Err(error) = kept.await {
            tracing::debug!(%error, %run, "a run goes on without its trace");
        }
    }
}

async fn trace_of(store: &Store, run: RunId, attempt: Attempt) -> Option<TraceParent> {
    let read = async { attempts::traceparent(&mut *store.acquire().await?, run, attempt).await };
    match read.await {
        Ok(kept) => kept?.parse().ok(),
        Err(error) => {
            tracing::debug!(%error, %run, "a span is left out");
            None
        }
    }
}

/// The database as a part that a role rests on: it answers, and its schema is what this program needs.
#[must_use]
pub fn part(store: &Store) -> Part {
    let store = store.clone();
    Part::new("postgres", Without::Unready, move || look(store.clone()))
}

/// The replica as a part that a role rests on, if the settings name one. Without it reads go to the primary.
#[must_use]
pub fn replica_part(store: &Store) -> Option<Part> {
    let store = store.has_replica().then(|| store.clone())?;
    Some(Part::new("replica", Without::Degraded, move || look_at_replica(store.clone())))
}

async fn look_at_replica(store: Store) -> Result<(), String> {
    match store.replica_state().await {
        None | Some(ReplicaState::Near) => Ok(()),
        Some(ReplicaState::Lags) => {
            Err("The replica lags too far behind; reads go to the primary until it has caught up.".to_owned())
        }
        Some(ReplicaState::Away) => {
            Err("The replica does not answer, reads go to the primary; look at the server and at \
             DATABASE_READ_URL."
                .to_owned())
        }
    }
}

async fn look(store: Store) -> Result<(), String> {
    let looked = async { store::schema(&mut *store.acquire().await?).await };
    match looked.await {
        Ok(Schema::Fits) => Ok(()),
        Ok(Schema::Missing) => Err("The database has no schema yet; run `codex-k8s migrate`.".to_owned()),
        Ok(Schema::Lacks { version }) => {
            Err(format!("The schema lacks migration {version}, which this version needs; run `codex-k8s migrate`."))
        }
        Err(error) => {
            tracing::debug!(%error, "the database was looked at in vain");
            Err("Postgres does not answer; look at the server and at DATABASE_URL.".to_owned())
        }
    }
}

/// The gauges that are read from Postgres.
pub struct WorkGauges {
    telemetry: Arc<Telemetry>,
    store: Store,
    clock: Clock,
    read_at: Mutex<Option<Instant>>,
}

impl WorkGauges {
    /// Over this database.
    #[must_use]
    pub fn new(telemetry: Arc<Telemetry>, store: Store, clock: Clock) -> Self {
        Self { telemetry, store, clock, read_at: Mutex::default() }
    }

    async fn read(&self) -> store::Result<gauges::Work> {
        gauges::work(&mut *self.store.acquire().await?, (self.clock)()).await
    }
}

#[async_trait]
impl BeforeScrape for WorkGauges {
    async fn refresh(&self) {
        let mut read_at = self.read_at.lock().await;
        if read_at.is_some_and(|at| at.elapsed() < KEPT) {
            return;
        }
        let work = match tokio::time::timeout(LIMIT, self.read()).await {
            Ok(Ok(work)) => Some(work),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the gauges could not be read");
                None
            }
            Err(_) => {
                tracing::warn!("the gauges could not be read in time");
                None
            }
        };
        *read_at = work.is_some().then(Instant::now);
        self.telemetry.metrics.work(work.as_ref());
    }
}
