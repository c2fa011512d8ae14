//! The real git behind the stand-in: bare repositories, one per id.

mod commit;
mod diff;
mod history;
mod refs;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{io::AsyncWriteExt, process::Command};

pub(crate) use commit::{CommitFiles, FileChange, Signature};
pub(crate) use diff::{FileDiff, Hunk};
pub(crate) use history::{GitCommit, TreeEntry};
pub(crate) use refs::{RefMove, ZERO};

/// What can go wrong with git.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// Git could not be started, or talking to it failed.
    #[error("git could not be run (is it installed?)")]
    Spawn(#[source] std::io::Error),
    /// A name that resolves to nothing.
    #[error("no such object: {0}")]
    NoSuchObject(String),
    /// Git ran and said no.
    #[error("git {command}: {message}")]
    Failed {
        /// The sub-command.
        command: String,
        /// What it said.
        message: String,
    },
    /// Output of a form we do not know.
    #[error("git {0} answered in an unknown form")]
    Output(&'static str),
}

/// Runs git on the bare repositories below one folder.
#[derive(Clone, Debug)]
pub(crate) struct Git {
    root: PathBuf,
    /// One lock per repository, so that "refs before and after" belongs to one push.
    locks: Arc<Mutex<BTreeMap<u64, Arc<tokio::sync::Mutex<()>>>>>,
}

impl Git {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root, locks: Arc::default() }
    }

    /// The folder that holds the repositories.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of one repository.
    pub(crate) fn path(&self, repo: u64) -> PathBuf {
        self.root.join(format!("{repo}.git"))
    }

    /// Waits until nobody else moves refs of this repository.
    pub(crate) async fn lock(&self, repo: u64) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = self.locks.lock().unwrap_or_else(PoisonError::into_inner).entry(repo).or_default().clone();
        lock.lock_owned().await
    }

    /// A git command that knows nothing of the machine's or the person's configuration.
    pub(crate) fn command(&self, repo: u64) -> Command {
        let mut command = Command::new("git");
        isolate(&mut command);
        command.env("GIT_DIR", self.path(repo)).current_dir(&self.root);
        command
    }

    /// Runs git and gives back its standard output.
    pub(crate) async fn run(&self, repo: u64, args: &[&str]) -> Result<Vec<u8>, GitError> {
        let mut command = self.command(repo);
        command.args(args);
        finish(command, None, args.first().copied().unwrap_or_default()).await
    }

    /// Runs git and gives back its standard output as text without the line end.
    pub(crate) async fn text(&self, repo: u64, args: &[&str]) -> Result<String, GitError> {
        let output = self.run(repo, args).await?;
        Ok(String::from_utf8_lossy(&output).trim_end_matches('\n').to_owned())
    }

    /// Makes an empty bare repository.
    pub(crate) async fn init(&self, repo: u64, default_branch: &str) -> Result<(), GitError> {
        let path = self.path(repo);
        std::fs::create_dir_all(&path).map_err(GitError::Spawn)?;
        let branch = format!("--initial-branch={default_branch}");
        self.run(repo, &["init", "--quiet", "--bare", &branch]).await?;
        self.configure(repo).await
    }

    /// Makes a copy of a repository that shares nothing with it.
    pub(crate) async fn fork(&self, from: u64, to: u64) -> Result<(), GitError> {
        let default_branch = self.text(from, &["symbolic-ref", "--short", "HEAD"]).await?;
        self.init(to, &default_branch).await?;
        let source = self.path(from).to_string_lossy().into_owned();
        self.run(to, &["fetch", "--quiet", &source, "+refs/heads/*:refs/heads/*"]).await.map(drop)
    }

    async fn configure(&self, repo: u64) -> Result<(), GitError> {
        for (key, value) in [
            ("http.receivepack", "true"),
            // As on GitHub: any commit can be fetched by its id.
            ("uploadpack.allowAnySHA1InWant", "true"),
            ("receive.hideRefs", "refs/pull"),
            ("gc.auto", "0"),
            ("receive.autogc", "false"),
        ] {
            self.run(repo, &["config", key, value]).await?;
        }
        Ok(())
    }
}

/// Cuts a git command off from any configuration and from any prompt.
pub(crate) fn isolate(command: &mut Command) {
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_CONFIG_COUNT", "2")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("GIT_CONFIG_KEY_1", "core.quotePath")
        .env("GIT_CONFIG_VALUE_1", "false")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
}

/// Runs a prepared command to its end, feeding it `input`.
pub(crate) async fn finish(mut command: Command, input: Option<&[u8]>, name: &str) -> Result<Vec<u8>, GitError> {
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn().map_err(GitError::Spawn)?;
    let stdin = child.stdin.take();
    let feed = async {
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            stdin.write_all(input).await?;
            stdin.shutdown().await?;
        }
        Ok::<(), std::io::Error>(())
    };
    let (fed, output) = tokio::join!(feed, child.wait_with_output());
    let output = output.map_err(GitError::Spawn)?;
    if output.status.success() {
        fed.map_err(GitError::Spawn)?;
        return Ok(output.stdout);
    }
    Err(GitError::Failed {
        command: name.to_owned(),
        message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}
