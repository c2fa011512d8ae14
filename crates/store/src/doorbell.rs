//! A doorbell: after a commit, tells every gateway that there is something to look at. What it says is a hint; whoever hears
//! nothing finds out at the next look all the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::ids::{Attempt, RunId};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};

use crate::Result;

const CHANNEL: &str = "codex_k8s_live";

/// The longest word that Postgres carries has 8000 bytes; an entry has at most 68.
const MOST_ENTRIES: usize = 100;

/// What somebody rang about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ring {
    /// Runs that have changed.
    pub runs: BTreeSet<RunId>,
    /// Attempts that have printed something: where their logs go on after it.
    pub logs: BTreeMap<(RunId, Attempt), u64>,
}

impl Ring {
    fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.logs.is_empty()
    }

    /// As few words as it takes.
    fn words(&self) -> Vec<String> {
        let runs = self.runs.iter().map(ToString::to_string);
        let logs = self.logs.iter().map(|((run, attempt), next)| format!("{run}/{attempt}/{next}"));
        let entries: Vec<String> = runs.chain(logs).collect();
        entries.chunks(MOST_ENTRIES).map(|some| some.join(",")).collect()
    }

    /// What was said; what nobody of us says is left out.
    fn read(words: &str) -> Self {
        let mut ring = Self::default();
        for entry in words.split(',') {
            let mut parts = entry.split('/');
            let run = parts.next().and_then(|run| run.parse().ok());
            let log = parts.next().and_then(|attempt| attempt.parse().ok()).map(Attempt);
            match (run, log, parts.next().and_then(|next| next.parse().ok())) {
                (Some(run), Some(attempt), Some(next)) => {
                    ring.logs.insert((run, attempt), next);
                }
                (Some(run), None, None) => {
                    ring.runs.insert(run);
                }
                _ => {}
            }
        }
        ring
    }
}

#[derive(Default)]
struct Waiting {
    ring: Ring,
    at_work: bool,
}

/// Rings. What comes while one ring is on its way goes with the next, so that many changes are few rings.
#[derive(Clone)]
pub(crate) struct Doorbell {
    pool: PgPool,
    waiting: Arc<Mutex<Waiting>>,
}

impl fmt::Debug for Doorbell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Doorbell")
    }
}

impl Doorbell {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool, waiting: Arc::default() }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ring(&self, change: impl FnOnce(&mut Ring)) {
        let mut waiting = self.waiting();
        change(&mut waiting.ring);
        if !waiting.at_work && tokio::runtime::Handle::try_current().is_ok() {
            waiting.at_work = true;
            tokio::spawn(self.clone().send());
        }
    }

    async fn send(self) {
        loop {
            let ring = {
                let mut waiting = self.waiting();
                if waiting.ring.is_empty() {
                    waiting.at_work = false;
                    return;
                }
                std::mem::take(&mut waiting.ring)
            };
            for words in ring.words() {
                // Nothing is lost with a ring that a crash of the database swallows, so none waits for the disk.
                let rung = sqlx::query!(
                    "select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)",
                    CHANNEL,
                    words,
                )
                .fetch_one(&self.pool)
                .await;
                if let Err(error) = rung {
                    tracing::debug!(%error, "nobody was told of a change; the next look finds it");
                }
            }
        }
    }
}

/// Hears the doorbell, on a connection of its own, which is made again when it breaks.
#[derive(Debug)]
pub struct Ear(PgListener);

impl Ear {
    pub(crate) async fn listen(options: PgConnectOptions) -> Result<Self> {
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options);
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen(CHANNEL).await?;
        Ok(Self(listener))
    }

    /// Waits for the next ring. None: the connection broke meanwhile, and what was rung is not known.
    ///
    /// # Errors
    /// It can't be made again.
    pub async fn next(&mut self) -> Result<Option<Ring>> {
        Ok(self.0.try_recv().await?.map(|heard| Ring::read(heard.payload())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_rung_is_heard() {
        let id = |number: u128| RunId::from_uuid(uuid::Uuid::from_u128(number));
        let mut ring = Ring::default();
        for number in 0..150 {
            ring.runs.insert(id(number));
            ring.logs.insert((id(number), Attempt(2)), 7);
        }
        let words = ring.words();
        assert!(words.len() == 3 && words.iter().all(|words| words.len() < 8_000));
        let mut heard = Ring::default();
        for ring in words.iter().map(|words| Ring::read(words)) {
            heard.runs.extend(ring.runs);
            heard.logs.extend(ring.logs);
        }
        assert_eq!(heard, ring);
        assert!(Ring::read("").is_empty() && Ring::read("x,1/2,*").is_empty());
    }
}
