//! Between the requests and the database: what comes while others are being stored is stored together, next.
//!
//! Nobody waits for company: a webhook that comes alone is stored at once. A few committers take what has gathered, each a
//! group in one transaction ([`ingest::record_group`]), so the busier it is, the larger the groups and the cheaper each
//! webhook. The answer is given after the commit. What can't be in a group, or was in one that failed, is recorded
//! alone, aside, so that it holds up nobody else.
//!
//! Nothing is kept here: a gateway that stops has answered what it committed, and what it did not answer is read back from
//! the hook's log.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::{
    event::Event,
    ids::{Instance, RepositoryId},
    triggers::DeliverySource,
};
use ingest::{Arrival, GroupError, Grouped, Recorded};
use store::Store;
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};

use super::{LARGE_BODY, body::BufferedBody};
use crate::problem::{Chain, Problem};

/// Groups at a time. One more than the one that waits for the disk, so that the database works meanwhile.
const COMMITTERS: usize = 2;

/// Webhooks in one group: what it takes to store them is what the last one waits.
const MOST_TOGETHER: usize = 32;

/// Webhooks that wait to be stored. Their bodies are bounded by the memory that is set aside for them, this bounds the rest.
const MOST_WAITING: usize = 1024;

/// Webhooks that are recorded alone at a time; they may wait for somebody else's transaction, and each has a connection.
const ALONE: usize = 8;

/// A webhook that is known to be the forge's own, with the memory that its body takes.
#[derive(Debug)]
pub(super) struct OwnedArrival {
    pub(super) hook_key: i64,
    pub(super) guid: String,
    pub(super) spoken_for: Option<RepositoryId>,
    pub(super) event: Event,
    pub(super) body: BufferedBody,
    pub(super) received_at: DateTime<Utc>,
}

impl OwnedArrival {
    fn borrowed(&self) -> Arrival<'_> {
        Arrival {
            hook_key: self.hook_key,
            guid: &self.guid,
            spoken_for: self.spoken_for,
            event: &self.event,
            body: &self.body.bytes,
            received_at: self.received_at,
            source: DeliverySource::Webhook,
        }
    }
}

struct Waiting {
    arrival: OwnedArrival,
    answer: oneshot::Sender<Result<Recorded, Problem>>,
}

impl Waiting {
    /// Who has hung up is not there to be told.
    fn answer(self, recorded: Result<Recorded, Problem>) {
        let _ = self.answer.send(recorded);
    }
}

/// Stores webhooks. Those who do the work end when this is dropped.
#[derive(Debug)]
pub(crate) struct Committers {
    queue: mpsc::Sender<Waiting>,
    ledger: Ledger,
}

impl Committers {
    /// Starts them.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(crate) fn start(store: Store, instance: Instance) -> Self {
        let (queue, waiting) = mpsc::channel(MOST_WAITING);
        let waiting = Arc::new(Mutex::new(waiting));
        let ledger = Ledger { store, instance, alone: Arc::new(Semaphore::new(ALONE)) };
        for _ in 0..COMMITTERS {
            tokio::spawn(ledger.clone().commit_what_comes(Arc::clone(&waiting)));
        }
        Self { queue, ledger }
    }

    /// Stores a webhook, with whatever else comes just now.
    pub(super) async fn record(&self, arrival: OwnedArrival) -> Result<Recorded, Problem> {
        let (answer, answered) = oneshot::channel();
        let large = arrival.body.bytes.len() >= LARGE_BODY;
        let waiting = Waiting { arrival, answer };
        if large {
            self.ledger.record_aside(vec![waiting]);
        } else {
            self.queue.try_send(waiting).map_err(|_| {
                Problem::unavailable("busy", "too many webhooks wait to be stored; try again in a moment", 5)
            })?;
        }
        answered.await.unwrap_or_else(|_| {
            tracing::error!("storing a webhook broke off");
            Err(Problem::internal())
        })
    }
}

#[derive(Clone, Debug)]
struct Ledger {
    store: Store,
    instance: Instance,
    alone: Arc<Semaphore>,
}

impl Ledger {
    async fn commit_what_comes(self, queue: Arc<Mutex<mpsc::Receiver<Waiting>>>) {
        loop {
            let mut group = Vec::new();
            if queue.lock().await.recv_many(&mut group, MOST_TOGETHER).await == 0 {
                return;
            }
            // A task of its own, so that the committer outlives whatever goes wrong with one group.
            if let Err(error) = tokio::spawn(self.clone().commit(group)).await {
                tracing::error!(%error, "storing a group of webhooks broke off");
            }
        }
    }

    async fn commit(self, mut group: Vec<Waiting>) {
        // Who waited too long was told so, and will be read back; the database has enough to do as it is.
        group.retain(|waiting| !waiting.answer.is_closed());
        if group.is_empty() {
            return;
        }
        let arrivals: Vec<Arrival<'_>> = group.iter().map(|waiting| waiting.arrival.borrowed()).collect();
        let grouped = ingest::record_group(&self.store, &self.instance, &arrivals).await;
        drop(arrivals);
        match grouped {
            Ok(grouped) => self.answer(group, grouped),
            Err(GroupError::NotBegun(error)) => {
                let problem = Problem::from(error);
                group.into_iter().for_each(|waiting| waiting.answer(Err(problem.clone())));
            }
            Err(GroupError::RolledBack(error)) => {
                tracing::warn!(webhooks = group.len(), error = %Chain(&error), "each of a group is recorded alone");
                self.record_aside(group);
            }
        }
    }

    /// Answers what is stored, and has the rest recorded aside.
    fn answer(&self, group: Vec<Waiting>, grouped: Vec<Grouped>) {
        let mut alone = Vec::new();
        for (waiting, grouped) in group.into_iter().zip(grouped) {
            match grouped {
                Grouped::Recorded(recorded) => waiting.answer(Ok(recorded)),
                Grouped::Alone => alone.push(waiting),
            }
        }
        self.record_aside(alone);
    }

    fn record_aside(&self, all: Vec<Waiting>) {
        for waiting in all {
            let ledger = self.clone();
            tokio::spawn(async move {
                let Ok(_place) = ledger.alone.acquire().await else { return };
                if waiting.answer.is_closed() {
                    return;
                }
                let recorded = ingest::record(&ledger.store, &ledger.instance, &waiting.arrival.borrowed()).await;
                waiting.answer(recorded.map_err(Problem::from));
            });
        }
    }
}
