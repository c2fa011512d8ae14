//! The project's set-up: from what an earlier run left behind, else by its commands.
//!
//! All of it is over before the agent starts, also the storing: what is kept for other runs is nothing that an agent
//! could have touched.

use std::{
    io,
    time::{Duration, Instant},
};

use domain::job::{AgentEnd, SETUP_CACHE_SECS, SetupCache, SetupSpec};
use tokio_util::sync::CancellationToken;

use crate::{
    archive::{self, Limits, Roots},
    commands::{self, Purpose},
    environment::Folders,
    gateway::{Gateway, GatewayError},
    output::Output,
};

/// Bytes of an archive: what the gateway takes.
const MAX_ARCHIVE: u64 = 1 << 30;
/// Fetching may take this long, and so may storing.
const BOUND: Duration = Duration::from_secs(SETUP_CACHE_SECS / 2);

/// What the last files of an archive may take.
const LAG: Duration = Duration::from_secs(10);

/// What set-up works with.
pub(crate) struct SetUp<'a> {
    pub(crate) gateway: &'a Gateway,
    pub(crate) folders: &'a Folders,
    pub(crate) spec: &'a SetupSpec,
    pub(crate) output: &'a Output,
    pub(crate) cancel: &'a CancellationToken,
}

/// Nothing was kept or fetched; set-up does without.
#[derive(Debug, thiserror::Error)]
enum CacheError {
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    #[error(transparent)]
    Archive(#[from] io::Error),
    #[error("it takes too long")]
    TooLong,
    #[error("the job is cancelled")]
    Cancelled,
}

impl SetUp<'_> {
    /// Gets the work tree ready. Some: the agent is not to be started, and why.
    pub(crate) async fn run(&self) -> io::Result<Option<AgentEnd>> {
        if self.spec.commands.is_empty() {
            return Ok(None);
        }
        if let Some(cache) = &self.spec.cache
            && self.restored(cache).await
        {
            return Ok(self.cancelled());
        }
        for command in &self.spec.commands {
            let result = commands::run(self.folders, Purpose::SetUp, command, self.output, self.cancel).await?;
            let Some(result) = result else { return Ok(Some(AgentEnd::Cancelled)) };
            if !result.passed {
                let command = command.run.clone();
                let (exit_code, output_tail) = (result.exit_code, result.output_tail);
                return Ok(Some(AgentEnd::SetupFailed { command, exit_code, output_tail }));
            }
        }
        if let Some(cache) = self.spec.cache.as_ref().filter(|cache| cache.may_store) {
            self.keep(cache).await;
        }
        Ok(self.cancelled())
    }

    fn cancelled(&self) -> Option<AgentEnd> {
        self.cancel.is_cancelled().then_some(AgentEnd::Cancelled)
    }

    /// Whether an earlier run's is in its place. A broken one is no failure: the commands make it anew.
    async fn restored(&self, cache: &SetupCache) -> bool {
        match self.bounded(self.restore(cache)).await {
            Ok(true) => {
                self.output.say("set-up is taken from an earlier run; its commands are not run");
                return true;
            }
            Ok(false) => self.output.say("no earlier run left this set-up behind"),
            Err(CacheError::Cancelled) => {}
            Err(error) => self.output.say(&format!("the set-up of an earlier run can't be used: {error}")),
        }
        false
    }

    async fn restore(&self, cache: &SetupCache) -> Result<bool, CacheError> {
        let (file, until) = (self.folders.setup_archive.clone(), Instant::now() + BOUND);
        if !self.gateway.setup_cache(&file, MAX_ARCHIVE).await? {
            return Ok(false);
        }
        let (aside, roots, paths) = (self.folders.setup_aside.clone(), self.roots(), cache.paths.clone());
        let placed = aside_thread(move || {
            std::fs::create_dir(&aside)?;
            let placed = archive::unpack(&file, &aside, &roots, &paths, until);
            std::fs::remove_dir_all(&aside)?;
            std::fs::remove_file(&file)?;
            placed
        })
        .await?;
        Ok(placed > 0)
    }

    /// Keeps what set-up left behind for later runs; that it can't be is no failure.
    async fn keep(&self, cache: &SetupCache) {
        match self.bounded(self.store(cache)).await {
            Ok(true) => self.output.say("what set-up left behind is kept for later runs"),
            Ok(false) => self.output.say("set-up left nothing behind at the paths that are to be kept"),
            Err(CacheError::Cancelled) => {}
            Err(error) => self.output.say(&format!("what set-up left behind is not kept: {error}")),
        }
    }

    async fn store(&self, cache: &SetupCache) -> Result<bool, CacheError> {
        let file = self.folders.setup_archive.clone();
        let (to, roots, paths) = (file.clone(), self.roots(), cache.paths.clone());
        let limits = Limits { bytes: MAX_ARCHIVE, until: Instant::now() + BOUND };
        let packed = aside_thread(move || archive::pack(&roots, &paths, &to, limits)).await?;
        if packed > 0 {
            self.gateway.keep_setup_cache(&file).await?;
        }
        tokio::fs::remove_file(&file).await?;
        Ok(packed > 0)
    }

    fn roots(&self) -> Roots {
        Roots { tree: self.folders.tree.clone(), home: self.folders.home.clone() }
    }

    async fn bounded<T>(&self, work: impl Future<Output = Result<T, CacheError>>) -> Result<T, CacheError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(CacheError::Cancelled),
            done = work => done,
            // Archives see to their time themselves: nothing may still be at it when the commands run.
            () = tokio::time::sleep(BOUND + LAG) => Err(CacheError::TooLong),
        }
    }
}

/// Reading and writing many files would hold up the sign of life.
async fn aside_thread<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
