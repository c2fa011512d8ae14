//! The shared heart: the model under its lock, git, the clock and the queue of deliveries.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use tokio::sync::{Notify, mpsc, watch};

use super::{
    access::{At, Need},
    clock::Clock,
    error::ApiError,
    git::Git,
    knobs::Knobs,
    record::Recorder,
    state::{Issue, Model, Repo},
};

/// A handle that every handler and background task holds.
#[derive(Clone)]
pub(crate) struct Forge(Arc<Inner>);

/// What the handle points at.
pub(crate) struct Inner {
    model: Mutex<Model>,
    pub(crate) base: String,
    pub(crate) git: Git,
    pub(crate) clock: Clock,
    pub(crate) knobs: Knobs,
    pub(crate) recorder: Recorder,
    pub(crate) snapshot: PathBuf,
    /// Rung after each write, so that the model gets onto the disk.
    pub(crate) dirty: Notify,
    /// Counts writes, for those who wait for a state.
    pub(crate) writes: watch::Sender<u64>,
    deliveries: mpsc::UnboundedSender<u64>,
}

/// What a forge is made of.
pub(crate) struct Parts {
    pub(crate) model: Model,
    pub(crate) base: String,
    pub(crate) git: Git,
    pub(crate) clock: Clock,
    pub(crate) recorder: Recorder,
    pub(crate) snapshot: PathBuf,
    pub(crate) deliveries: mpsc::UnboundedSender<u64>,
}

impl std::ops::Deref for Forge {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// A look at the model, with the address that its links start with.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) model: &'a Model,
    pub(crate) base: &'a str,
}

/// One change of the model; what it sends goes out after it is complete.
pub(crate) struct Tx<'a> {
    pub(crate) model: &'a mut Model,
    pub(crate) base: &'a str,
    pub(crate) now: DateTime<Utc>,
    pub(crate) outgoing: Vec<u64>,
}

impl Forge {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner {
            model: Mutex::new(parts.model),
            base: parts.base,
            git: parts.git,
            clock: parts.clock,
            knobs: Knobs::default(),
            recorder: parts.recorder,
            snapshot: parts.snapshot,
            dirty: Notify::new(),
            writes: watch::Sender::default(),
            deliveries: parts.deliveries,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Model> {
        // A change checks before it writes, so a panic in between leaves a model that is still whole.
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the model.
    pub(crate) fn read<T>(&self, look: impl FnOnce(View<'_>) -> T) -> T {
        let model = self.lock();
        look(View { model: &model, base: &self.base })
    }

    /// Changes the model. A change that fails must not have written anything.
    pub(crate) fn write<T>(&self, change: impl FnOnce(&mut Tx<'_>) -> Result<T, ApiError>) -> Result<T, ApiError> {
        let mut model = self.lock();
        let mut tx = Tx { model: &mut model, base: &self.base, now: self.clock.now(), outgoing: Vec::new() };
        let result = change(&mut tx)?;
        let outgoing = tx.outgoing;
        // Handed over under the lock: the order of deliveries is the order of changes.
        for delivery in outgoing {
            self.enqueue(delivery);
        }
        drop(model);
        self.writes.send_modify(|count| *count += 1);
        self.dirty.notify_one();
        Ok(result)
    }

    /// Puts a stored delivery on its way. Once the stand-in is closing nobody takes it; it is sent after the next start.
    pub(crate) fn enqueue(&self, delivery: u64) {
        if self.deliveries.send(delivery).is_err() {
            tracing::debug!(delivery, "the stand-in is closing; the delivery waits for the next start");
        }
    }
}

impl Tx<'_> {
    /// A look at the model as it is inside the change.
    pub(crate) fn view(&self) -> View<'_> {
        View { model: self.model, base: self.base }
    }

    /// The id of the repository, if the person may do this there.
    pub(crate) fn repo(&self, at: &At, need: Need) -> Result<u64, ApiError> {
        self.view().repo(at, need).map(|repo| repo.id)
    }

    /// A repository to change.
    pub(crate) fn repo_mut(&mut self, id: u64) -> Result<&mut Repo, ApiError> {
        self.model.repos.get_mut(&id).ok_or(ApiError::NotFound)
    }

    /// An issue or pull request to change.
    pub(crate) fn issue_mut(&mut self, repo: u64, number: u64) -> Result<&mut Issue, ApiError> {
        self.repo_mut(repo)?.issues.get_mut(&number).ok_or(ApiError::NotFound)
    }
}
