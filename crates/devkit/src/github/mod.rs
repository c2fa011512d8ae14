//! A stand-in for GitHub: its REST paths, its webhooks and real git over smart HTTP, on one address.
//!
//! It keeps state and tells the truth about it: a request either changes the model and sends its events, or is
//! refused the way GitHub refuses it. Tests act as people through [`StandIn`]'s verbs, programs through HTTP; both
//! go through the same operations.

mod access;
mod app_verbs;
mod assertions;
mod clock;
mod control;
mod error;
mod events;
mod forge;
mod git;
mod git_http;
mod knobs;
mod oauth;
mod oauth_verbs;
pub mod openapi;
mod ops;
mod pages;
mod permissions;
mod record;
mod rest;
mod seed;
mod server;
mod shapes;
mod snapshot;
mod state;
mod verbs;
mod webhooks;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub use app_verbs::permissions as permissions_of;
pub use assertions::{AppKeys, KeyTrouble};
pub use clock::Clock;
pub use error::ApiError;
pub use git::GitError;
pub use knobs::{DeliveryEffect, DeliveryFault, Effect, Fault, Knob};
pub use ops::repos::{NewRepo, NewUser};
pub use record::Exchange;
pub use seed::{Seed, SeedIssue, SeedRepo};
pub use snapshot::SnapshotError;
pub use state::{
    AccountKind, Address, ChangeSize, CheckRun, Comment, Delivery, Hook, Issue, Label, Level, Permissions, Pull,
    Review, ReviewComment, Role, Status, User,
};
pub use verbs::LineNote;

use forge::{Forge, Parts};
use git::Git;
use record::Recorder;

/// Connections that are still open get this long to end.
const CLOSING: Duration = Duration::from_secs(2);

/// How to start a stand-in.
#[derive(Clone, Debug)]
pub struct Options {
    /// Holds the model and the git repositories; what is in it from before is gone on with.
    pub data_dir: PathBuf,
    /// Where to listen; must be a loopback address, port 0 for any.
    pub bind: SocketAddr,
    /// What there is at the beginning, if the folder holds nothing yet.
    pub seed: Option<Seed>,
    /// The time that is written into things.
    pub clock: Clock,
    /// Keep every request and answer for [`StandIn::exchanges`].
    pub record: bool,
}

impl Options {
    /// Any free port, an own clock, no record.
    #[must_use]
    pub fn new(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            seed: None,
            clock: Clock::default(),
            record: false,
        }
    }
}

/// Why a stand-in did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address can be reached from other machines.
    #[error("{0} is not a loopback address; the stand-in for GitHub is for this machine alone")]
    NotLoopback(SocketAddr),
    /// The address can't be listened on.
    #[error("{address} can't be listened on")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The data folder can't be made.
    #[error("{path} can't be made")]
    DataDir {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The stored model.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The seed.
    #[error("the seed could not be planted")]
    Seed(#[source] ApiError),
}

/// A running stand-in for GitHub.
#[derive(Debug)]
pub struct StandIn {
    forge: Forge,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Forge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forge").field("base", &self.base).finish_non_exhaustive()
    }
}

impl StandIn {
    /// Starts, and returns once the address answers.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let Options { data_dir, bind, seed, clock, record } = options;
        if !bind.ip().is_loopback() {
            return Err(StartError::NotLoopback(bind));
        }
        let git_dir = data_dir.join("git");
        std::fs::create_dir_all(&git_dir).map_err(|source| StartError::DataDir { path: git_dir.clone(), source })?;
        let bound = |source| StartError::Bind { address: bind, source };
        let listener = TcpListener::bind(bind).await.map_err(bound)?;
        let base = format!("http://{}", listener.local_addr().map_err(bound)?);
        let snapshot = data_dir.join("model.json");
        let stored = snapshot::load(&snapshot)?;
        let (deliveries, queue) = mpsc::unbounded_channel();
        let is_new = stored.is_none();
        let forge = Forge::new(Parts {
            model: stored.unwrap_or_default(),
            base,
            git: Git::new(git_dir),
            clock,
            recorder: Recorder::new(record),
            snapshot,
            deliveries,
        });
        if let Some(seed) = seed.filter(|_| is_new) {
            seed::plant(&forge, seed).await.map_err(StartError::Seed)?;
            snapshot::save(&forge)?;
        }
        resume(&forge);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let app = server::app(forge.clone());
        let serving = axum::serve(listener, app).with_graceful_shutdown(async move { stopped.cancelled().await });
        let tasks = vec![
            tokio::spawn(async move {
                if let Err(error) = serving.await {
                    tracing::error!(%error, "the stand-in for GitHub stopped serving");
                }
            }),
            tokio::spawn(webhooks::run(forge.clone(), queue, stop.clone())),
            tokio::spawn(snapshot::keep(forge.clone(), stop.clone())),
        ];
        Ok(Self { forge, stop, tasks })
    }

    /// The address: REST, git and pages.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.forge.base
    }

    /// Stops, and writes the model one last time.
    pub async fn shutdown(mut self) -> Result<(), SnapshotError> {
        self.stop.cancel();
        for mut task in std::mem::take(&mut self.tasks) {
            if tokio::time::timeout(CLOSING, &mut task).await.is_err() {
                task.abort();
            }
        }
        snapshot::save(&self.forge)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.stop.cancel();
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Puts on their way the deliveries that an earlier process had stored and not sent.
fn resume(forge: &Forge) {
    let pending: Vec<u64> = forge.read(|view| {
        let all = view.model.deliveries.values();
        all.filter(|known| known.delivered_at.is_none()).map(|known| known.id).collect()
    });
    for delivery in pending {
        forge.enqueue(delivery);
    }
}
