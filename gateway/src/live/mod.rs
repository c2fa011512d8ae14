//! Pages that are open: each has one stream, and is told what has changed so that it asks for it.
//!
//! What is told is which runs have changed, how far a log is, that something came in: never the thing itself, so that a stream
//! needs no rights of its own beyond which projects somebody sees, and a slow reader costs a few words however much happens.
//! One task a gateway looks (`look.rs`): when the doorbell rings, and every second all the same. It runs while a page is open.

pub(crate) mod look;
mod watcher;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use domain::ids::PersonId;
use store::live::Horizon;
use tokio::{sync::Notify, time::Instant};

pub(crate) use watcher::{Over, Sees, Told, Topic, Watcher};

use crate::app::AppState;

/// Streams of one gateway.
const MOST_STREAMS: usize = 2_000;

/// Streams of one person on one gateway: more tabs than anybody has.
const MOST_OF_A_PERSON: usize = 60;

/// Without a look for so long, pages are told nothing, not even that all is well.
const STALE: Duration = Duration::from_secs(5);

/// The streams of this gateway.
#[derive(Default)]
pub(crate) struct Live {
    watchers: Mutex<BTreeMap<u64, Arc<Watcher>>>,
    next: AtomicU64,
    joined: Notify,
    state: Mutex<LookState>,
}

/// How far the task is.
#[derive(Clone, Copy, Debug, Default)]
struct LookState {
    at_work: bool,
    closed: bool,
    /// None until the first look.
    horizon: Option<Horizon>,
    /// When it was last looked without trouble.
    looked_at: Option<Instant>,
}

/// A stream that is open; dropping it ends it.
pub(crate) struct Open {
    app: AppState,
    number: u64,
    /// What it is told.
    pub(crate) watcher: Arc<Watcher>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.app.live().watchers().remove(&self.number);
    }
}

/// There are too many streams already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TooMany {
    /// Of this person.
    Yours,
    /// Of everybody.
    Everybodys,
}

impl Live {
    fn watchers(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Watcher>>> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, LookState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self) -> Vec<Arc<Watcher>> {
        self.watchers().values().cloned().collect()
    }

    /// Opens a stream.
    ///
    /// # Errors
    /// There are too many.
    pub(crate) fn open(app: &AppState, watcher: Watcher) -> Result<Open, TooMany> {
        let live = app.live();
        let watcher = Arc::new(watcher);
        let number = live.next.fetch_add(1, Ordering::Relaxed);
        {
            let mut watchers = live.watchers();
            let of = |person: PersonId| watchers.values().filter(|other| other.person == person).count();
            if watchers.len() >= MOST_STREAMS {
                return Err(TooMany::Everybodys);
            }
            if of(watcher.person) >= MOST_OF_A_PERSON {
                return Err(TooMany::Yours);
            }
            watchers.insert(number, Arc::clone(&watcher));
        }
        let mut state = live.state();
        if state.closed {
            watcher.end(Over::Restart);
        } else if !state.at_work {
            state.at_work = true;
            tokio::spawn(look::keep_looking(app.clone()));
        }
        drop(state);
        live.joined.notify_one();
        Ok(Open { app: app.clone(), number, watcher })
    }

    /// Where the first look begins. The first word counts: somebody has loaded their page after it.
    pub(crate) fn begin_at(&self, horizon: Horizon) {
        let mut state = self.state();
        state.horizon.get_or_insert(horizon);
        state.looked_at.get_or_insert_with(Instant::now);
    }

    /// Whether what the pages know is of now.
    pub(crate) fn is_fresh(&self) -> bool {
        self.state().looked_at.is_some_and(|at| at.elapsed() < STALE)
    }

    /// Ends every stream, because the gateway stops: pages connect to another one.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        for watcher in self.all() {
            watcher.end(Over::Restart);
        }
    }
}
