//! Delivers what the outbox holds: in order per workflow, one at a time, under a lease.
//!
//! At once by whoever stored the command, else by the sweeper. Two dispatchers never deliver for one workflow at the same
//! time, and one that dies leaves a lease that runs out. Every command may be delivered twice; Temporal knows the second by
//! its workflow id or request id.

mod lost_starts;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{ids::Instance, sentences};
use store::{
    CommandKind, Store, StoreError,
    commands::{self, About, Command, FailedTry, Holder},
};
use telemetry::{
    Span, SpanKind, Telemetry,
    catalogue::DispatchResult,
    readiness::{Part, Without},
};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::engine::{Applied, Engine, EngineError, Target};

/// The type of a run's workflow, which is what a start means that names none.
pub const AGENT_RUN: &str = "AgentRun";

/// Longer than delivering a handful of commands takes; after it, a dead dispatcher's queue is taken over.
const LEASE: Duration = Duration::from_secs(30);

/// Commands read at a time.
const BATCH: u32 = 32;

/// What the sweeper leaves to the task that stored it.
const FRESH: TimeDelta = TimeDelta::seconds(1);

/// How often the sweeper looks. Only for what was left behind: nothing that goes well waits for it.
const SWEEP_PERIOD: Duration = Duration::from_secs(2);

/// Workflows that one sweep takes on.
const SWEEP_SIZE: u32 = 200;

/// Deliveries at a time, each for a workflow of its own.
const ROOM: usize = 8;

/// The clock, passed in.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Carries commands from the outbox to the engine.
pub struct Dispatcher {
    store: Store,
    engine: Engine,
    clock: Clock,
    telemetry: Arc<Telemetry>,
    /// An undelivered start older than this is looked at before it is delivered: half the engine's retention, since
    /// beyond the retention Temporal no longer knows an id that it has seen.
    start_max_age: TimeDelta,
    /// Deliveries under way: more would only queue for database connections.
    room: Semaphore,
    /// The last try found no engine to talk to.
    engine_is_away: AtomicBool,
}

/// Delivery could not go on.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// The outbox could not be read or written.
    #[error("the outbox is not available")]
    Store(#[from] StoreError),
}

/// The right to deliver for one workflow.
#[derive(Clone, Copy)]
struct Lease<'a> {
    workflow_id: &'a str,
    owner: Uuid,
}

/// Why delivering for one workflow stopped.
enum Stop {
    Empty,
    NotNow,
}

impl Dispatcher {
    /// Puts a dispatcher together.
    #[must_use]
    pub fn new(
        store: Store,
        engine: Engine,
        clock: Clock,
        start_max_age: TimeDelta,
        telemetry: Arc<Telemetry>,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            engine,
            clock,
            telemetry,
            start_max_age,
            room: Semaphore::new(ROOM),
            engine_is_away: AtomicBool::new(false),
        })
    }

    /// The engine it delivers to.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// This installation.
    #[must_use]
    pub fn instance(&self) -> &Instance {
        &self.engine.settings().instance
    }

    /// The engine as a part that a role rests on.
    #[must_use]
    pub fn engine_part(self: &Arc<Self>, without: Without) -> Part {
        let dispatcher = Arc::clone(self);
        Part::new("temporal", without, move || {
            let dispatcher = Arc::clone(&dispatcher);
            async move {
                // Any question will do; there is never a workflow of this name.
                let id = format!("{}:readyz", dispatcher.instance());
                let answered = dispatcher.engine.state(&id).await.map(drop);
                answered.map_err(|error| match error {
                    EngineError::NoNamespace(_) => {
                        let namespace = &dispatcher.engine.settings().namespace;
                        format!("Temporal has no namespace {namespace}; commands wait in the outbox.")
                    }
                    _ => "Temporal does not answer; commands wait in the outbox.".to_owned(),
                })
            }
        })
    }

    /// Delivers in the background; what fails is left to the sweeper.
    pub fn spawn(self: &Arc<Self>, workflow_id: String) {
        let dispatcher = Arc::clone(self);
        tokio::spawn(async move {
            let Ok(_place) = dispatcher.room.acquire().await else { return };
            if let Err(error) = dispatcher.dispatch(&workflow_id).await {
                tracing::warn!(workflow_id, error = %error, "delivery is left to the sweeper");
            }
        });
    }

    /// Delivers everything that waits for a workflow, unless somebody else is at it.
    ///
    /// # Errors
    /// When the outbox is not available. The engine's failures are noted in the outbox.
    pub async fn dispatch(&self, workflow_id: &str) -> Result<(), DispatchError> {
        // A name of its own for each delivery: two tasks of one process are two, too.
        let lease = Lease { workflow_id, owner: Uuid::new_v4() };
        loop {
            let more = match self.deliver_lone(lease).await {
                Ok(Some(more)) => more,
                Ok(None) => self.deliver_queue(lease).await?,
                Err(error) => {
                    // The lease goes back if it can; else it runs out.
                    self.release(lease).await?;
                    return Err(error.into());
                }
            };
            if !more {
                return Ok(());
            }
        }
    }

    /// The common case with as few words to the database as can be: one command waits, and is due. None if it is
    /// another case, else whether more came meanwhile.
    async fn deliver_lone(&self, lease: Lease<'_>) -> Result<Option<bool>, StoreError> {
        let holder = Holder { workflow_id: lease.workflow_id, owner: lease.owner };
        let now = self.now();
        let since = now - self.start_max_age;
        let begun = commands::begin_lone_try(&mut *self.store.acquire().await?, holder, now, LEASE, since).await?;
        let Some(command) = begun else { return Ok(None) };
        let applied = self.make_try(&command).await;
        if matches!(applied, Ok(Applied::Done)) {
            let mut conn = self.store.acquire().await?;
            return Ok(Some(commands::done_and_release(&mut conn, &command, lease.owner).await?));
        }
        let goes_on = self.note(&command, applied).await?;
        let more = self.release(lease).await?;
        Ok(Some(goes_on && more))
    }

    /// Delivers whatever waits, one after the other; says whether more came meanwhile.
    async fn deliver_queue(&self, lease: Lease<'_>) -> Result<bool, StoreError> {
        if !self.hold(lease).await? {
            return Ok(false);
        }
        let stop = self.deliver_all(lease).await;
        // The lease goes back whatever happened; what came meanwhile is ours, since who brought it found us holding it.
        let more = self.release(lease).await?;
        Ok(match stop? {
            Stop::Empty => more,
            Stop::NotNow => false,
        })
    }

    async fn release(&self, lease: Lease<'_>) -> Result<bool, StoreError> {
        commands::release(&mut *self.store.acquire().await?, lease.workflow_id, lease.owner).await
    }

    /// Takes on what was left behind: by a crash, by an engine that was down. While it is down, one try is enough: hundreds more would
    /// only keep the database from storing what comes in.
    ///
    /// # Errors
    /// When the outbox is not available.
    pub async fn sweep(&self) -> Result<usize, DispatchError> {
        let now = self.now();
        let mut conn = self.store.acquire().await?;
        let waiting = commands::workflows_with_pending(&mut conn, now - FRESH, now, SWEEP_SIZE).await?;
        drop(conn);
        for workflow_id in &waiting {
            self.dispatch(workflow_id).await?;
            if self.engine_is_away.load(Ordering::Relaxed) {
                break;
            }
        }
        Ok(waiting.len())
    }

    /// Sweeps until told to stop.
    pub async fn sweep_until(self: Arc<Self>, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            if let Err(error) = self.sweep().await {
                tracing::warn!(error = %error, "the outbox could not be swept");
            }
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(SWEEP_PERIOD) => {}
            }
        }
    }

    async fn hold(&self, lease: Lease<'_>) -> Result<bool, StoreError> {
        let mut conn = self.store.acquire().await?;
        commands::lease(&mut conn, lease.workflow_id, lease.owner, self.now(), LEASE).await
    }

    fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }

    async fn deliver_all(&self, lease: Lease<'_>) -> Result<Stop, StoreError> {
        loop {
            let pending = commands::pending(&mut *self.store.acquire().await?, lease.workflow_id, BATCH).await?;
            let Some(first) = pending.first() else { return Ok(Stop::Empty) };
            let cancelled_early = first.kind == CommandKind::Start
                && pending.iter().any(|command| command.kind == CommandKind::Cancel)
                && self.drop_start(first).await?;
            if cancelled_early {
                continue;
            }
            let whole = pending.len() < BATCH as usize;
            for (place, command) in pending.iter().enumerate() {
                if command.next_try_at > self.now() || !self.deliver(command, lease.owner).await? {
                    return Ok(Stop::NotNow);
                }
                // Nothing is behind the last one but what came meanwhile, and who gives the lease back is told of that.
                let last = whole && place + 1 == pending.len();
                if last {
                    return Ok(Stop::Empty);
                }
                if !self.hold(lease).await? {
                    return Ok(Stop::NotNow);
                }
            }
        }
    }

    /// True if what is behind it may be delivered now.
    async fn deliver(&self, command: &Command, owner: Uuid) -> Result<bool, StoreError> {
        if self.is_old_start(command, self.now()) {
            return self.deliver_old_start(command).await;
        }
        match self.try_once(command, owner).await? {
            Some(applied) => self.note(command, applied).await,
            None => Ok(false),
        }
    }

    /// Announces a try and makes it; none if it must not be made.
    async fn try_once(
        &self,
        command: &Command,
        owner: Uuid,
    ) -> Result<Option<Result<Applied, EngineError>>, StoreError> {
        if !commands::begin_try(&mut *self.store.acquire().await?, command.id, owner, self.now()).await? {
            return Ok(None);
        }
        Ok(Some(self.make_try(command).await))
    }

    /// Makes a try that was announced.
    async fn make_try(&self, command: &Command) -> Result<Applied, EngineError> {
        let mut span = self.span(command).await;
        let applied = self.apply(command).await;
        if let Err(error) = &applied {
            span.fail(result_of(&applied).as_str());
            tracing::debug!(%error, "a command was not taken");
        }
        drop(span);
        self.engine_is_away.store(
            matches!(applied, Err(EngineError::NotConnected(_) | EngineError::NoNamespace(_))),
            Ordering::Relaxed,
        );
        self.count(command, result_of(&applied));
        applied
    }

    /// Notes how a try ended; true if what is behind the command may be delivered now.
    async fn note(&self, command: &Command, applied: Result<Applied, EngineError>) -> Result<bool, StoreError> {
        match applied {
            Ok(Applied::Done) => commands::mark_done(&mut *self.store.acquire().await?, command.id).await?,
            Ok(Applied::NoSuchWorkflow) => {
                commands::mark_failed(
                    &mut *self.store.acquire().await?,
                    command.id,
                    "the workflow has ended or never was",
                )
                .await?;
            }
            Err(EngineError::Refused(words)) => {
                tracing::error!(workflow_id = command.workflow_id, error = words, "the engine refused a command");
                commands::mark_failed(&mut *self.store.acquire().await?, command.id, &words).await?;
                self.give_up(command, &sentences::start_refused(words)).await?;
            }
            Err(EngineError::NotConnected(words) | EngineError::NoNamespace(words)) => {
                return self.try_later(command, &words, false).await;
            }
            Err(EngineError::Unavailable(words)) => return self.try_later(command, &words, true).await,
        }
        Ok(true)
    }

    /// Notes that a try failed; false, since what is behind the command has to wait.
    async fn try_later(&self, command: &Command, error: &str, in_doubt: bool) -> Result<bool, StoreError> {
        let failed = FailedTry { error, in_doubt, next_try_at: self.now() + back_off(command.tries) };
        commands::mark_failed_try(&mut *self.store.acquire().await?, command.id, failed).await?;
        Ok(false)
    }

    async fn apply(&self, command: &Command) -> Result<Applied, EngineError> {
        let target = Target { workflow_id: &command.workflow_id, request_id: command.request_id };
        match command.kind {
            CommandKind::Start => {
                self.engine.start(target, command.name.as_deref().unwrap_or(AGENT_RUN), &command.payload).await
            }
            CommandKind::Signal => {
                self.engine.signal(target, command.name.as_deref().unwrap_or_default(), &command.payload).await
            }
            CommandKind::Cancel => {
                let reason = command.payload.get("by").and_then(|by| by.as_str()).unwrap_or("the platform");
                self.engine.cancel(target, reason).await
            }
        }
    }

    async fn span(&self, command: &Command) -> Span {
        let About::Run(run, attempt) = command.about else { return Span::none() };
        let name = format!("dispatch {}", command.kind.as_str());
        self.telemetry.span_of_attempt(&self.store, (run, attempt), name, SpanKind::Producer).await
    }

    fn count(&self, command: &Command, result: DispatchResult) {
        let lag = (result == DispatchResult::Done).then(|| self.now() - command.created_at);
        let lag = lag.map(|lag| lag.to_std().unwrap_or_default());
        self.telemetry.metrics.dispatch(command.kind.as_str(), result, lag);
    }
}

fn result_of(applied: &Result<Applied, EngineError>) -> DispatchResult {
    match applied {
        Ok(Applied::Done) => DispatchResult::Done,
        Ok(Applied::NoSuchWorkflow) => DispatchResult::NoWorkflow,
        Err(EngineError::Refused(_)) => DispatchResult::Refused,
        Err(EngineError::NotConnected(_) | EngineError::NoNamespace(_)) => DispatchResult::NotConnected,
        Err(EngineError::Unavailable(_)) => DispatchResult::Unavailable,
    }
}

/// 0.5 s, doubling, at most 30 s: an engine that is back is found soon.
fn back_off(tries: u32) -> TimeDelta {
    TimeDelta::milliseconds(500 << tries.min(6)).min(TimeDelta::seconds(30))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_grows_and_stays_bearable() {
        assert_eq!(back_off(0), TimeDelta::milliseconds(500));
        assert_eq!(back_off(1), TimeDelta::seconds(1));
        assert_eq!(back_off(5), TimeDelta::seconds(16));
        assert_eq!(back_off(60), TimeDelta::seconds(30));
    }
}
