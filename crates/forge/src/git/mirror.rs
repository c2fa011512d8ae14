//! Bare copies of repositories that are kept and brought up to date, and scratch copies that borrow their objects.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{GitAuth, GitError, process::Git, stale_locks};

/// How often a taken lock is tried again.
const LOCK_TRIES_EVERY: Duration = Duration::from_millis(50);

impl Git {
    /// Brings the bare mirror in `dir` up to date with the branches of `url`, and makes it if it is missing. One process at a time
    /// works on a mirror, also across processes; a crash in between leaves nothing that the next call does not repair.
    pub async fn mirror_fetch(&self, dir: &Path, url: &str, auth: Option<&GitAuth>) -> Result<(), GitError> {
        let parent = dir.parent().unwrap_or(Path::new("."));
        tokio::fs::create_dir_all(parent).await.map_err(|source| GitError::Io { path: parent.to_owned(), source })?;
        let _lock = self.lock(dir).await?;
        let done = self.update_mirror(dir, url, auth).await;
        if !matches!(done, Err(GitError::Failed { .. })) {
            return done;
        }
        let io = |source| GitError::Io { path: dir.to_owned(), source };
        if stale_locks::take_away(dir).await.map_err(io)? { self.update_mirror(dir, url, auth).await } else { done }
    }

    async fn update_mirror(&self, dir: &Path, url: &str, auth: Option<&GitAuth>) -> Result<(), GitError> {
        // Harmless where there is one already.
        self.init_bare(dir).await?;
        self.call(dir, "fetch")
            .args(["--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "--end-of-options", url])
            .arg("+refs/heads/*:refs/heads/*")
            .remote(url, auth)
            .run()
            .await
            .map(|_| ())
    }

    /// Makes a bare repository in `dir` that sees all objects of `mirror` and keeps what is added for itself.
    pub async fn scratch_repository(&self, mirror: &Path, dir: &Path) -> Result<(), GitError> {
        self.init_bare(dir).await?;
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| GitError::Io { path, source }
        };
        let objects = std::path::absolute(mirror.join("objects")).map_err(io(mirror))?;
        let alternates = dir.join("objects/info/alternates");
        let line = format!("{}\n", objects.display());
        tokio::fs::write(&alternates, line).await.map_err(io(&alternates))
    }

    pub(super) async fn init_bare(&self, dir: &Path) -> Result<(), GitError> {
        self.call_anywhere("init").args(["--quiet", "--bare", "--template="]).arg(dir).run().await.map(|_| ())
    }

    /// Waits for the lock beside `dir`, no longer than a command may take. The lock goes with the file handle, so also in a crash.
    async fn lock(&self, dir: &Path) -> Result<File, GitError> {
        let mut name = dir.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = opened.map_err(|source| GitError::Io { path: path.clone(), source })?;
        let started = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if started.elapsed() < self.time_limit() => {
                    tokio::time::sleep(LOCK_TRIES_EVERY).await;
                }
                Err(TryLockError::WouldBlock) => {
                    let operation = format!("(waiting for {})", path.display());
                    return Err(GitError::TimedOut { operation, after: self.time_limit() });
                }
                Err(TryLockError::Error(source)) => return Err(GitError::Io { path, source }),
            }
        }
    }
}
