//! Calls of git that run no foreign code.
//!
//! The work tree belongs to the agent, and so do the configuration and the hooks in it. What could make git start a
//! program is switched off here, and commits are made in a repository of our own (see [`crate::repository`]).

use std::{ffi::OsStr, io, path::Path, process::Stdio, time::Duration};

use tokio::{
    io::AsyncWriteExt as _,
    process::{ChildStdin, Command},
};

use crate::{environment::Folders, text};

const BOUND: Duration = Duration::from_secs(600);
const AUTHOR: &str = "codex-k8s";
const EMAIL: &str = "codex-k8s@users.noreply.github.com";
/// Enough of git's own words to understand a failure.
const WORDS_BYTES: usize = 1_000;

/// Settings that win over every file.
const SETTINGS: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.autocrlf", "false"),
    ("core.untrackedCache", "false"),
    ("commit.gpgSign", "false"),
    ("diff.ignoreSubmodules", "all"),
    ("fetch.fsckObjects", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("protocol.allow", "never"),
    ("protocol.file.allow", "always"),
    ("safe.directory", "*"),
    ("submodule.recurse", "false"),
];

/// A call of git failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GitError {
    /// It could not be started.
    #[error("git could not be started")]
    Start(#[source] io::Error),
    /// It said no.
    #[error("`git {call}` failed: {words}")]
    Failed {
        /// The subcommand.
        call: String,
        /// Its standard error, shortened.
        words: String,
    },
    /// It took too long.
    #[error("`git {call}` took more than {} s", BOUND.as_secs())]
    TooLong {
        /// The subcommand.
        call: String,
    },
    /// The repository is not the one that was announced.
    #[error("the workspace holds {found} instead of the pinned {expected}")]
    OtherBase {
        /// What the bundle holds.
        found: String,
        /// What the job says.
        expected: String,
    },
}

/// One call of git.
pub(crate) struct Git {
    command: Command,
    call: String,
}

impl Git {
    /// A call in the agent's own repository. Only for commands that start no program by configuration.
    pub(crate) fn in_tree(folders: &Folders) -> Self {
        let mut command = folders.command(&folders.programs.git);
        command
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_OPTIONAL_LOCKS", "0")
            // Should the agent remove its repository, the one around the work folder is none of ours.
            .env("GIT_CEILING_DIRECTORIES", folders.tree.parent().unwrap_or(&folders.tree))
            .envs([("GIT_AUTHOR_NAME", AUTHOR), ("GIT_COMMITTER_NAME", AUTHOR)])
            .envs([("GIT_AUTHOR_EMAIL", EMAIL), ("GIT_COMMITTER_EMAIL", EMAIL)])
            .process_group(0)
            .kill_on_drop(true);
        for (name, value) in SETTINGS {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        Self { command, call: String::new() }
    }

    /// A call in a repository of our own, over the agent's files and with the objects of the others at hand.
    pub(crate) fn over_tree(folders: &Folders, repository: &Path) -> Self {
        let mut git = Self::in_tree(folders);
        let mut others = folders.tree.join(".git/objects").into_os_string();
        if repository != folders.before {
            others.push(":");
            others.push(folders.before.join("objects"));
        }
        git.command
            .env("GIT_DIR", repository)
            .env("GIT_WORK_TREE", &folders.tree)
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", others);
        git
    }

    /// The same with an index of that name.
    pub(crate) fn index(mut self, path: &Path) -> Self {
        self.command.env("GIT_INDEX_FILE", path);
        self
    }

    /// Runs it; gives back its standard output without the line end.
    pub(crate) async fn run<A: AsRef<OsStr>>(self, arguments: &[A]) -> Result<String, GitError> {
        let output = self.feed(arguments, b"").await?;
        Ok(String::from_utf8_lossy(&output).trim_end_matches('\n').to_owned())
    }

    /// Runs it with this input; gives back its standard output as it is.
    pub(crate) async fn feed<A: AsRef<OsStr>>(self, arguments: &[A], input: &[u8]) -> Result<Vec<u8>, GitError> {
        let (call, output) = self.output(arguments, input).await?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let words = String::from_utf8_lossy(&output.stderr);
        Err(GitError::Failed { call, words: text::end(words.trim(), WORDS_BYTES).to_owned() })
    }

    /// Runs it; says whether it exited 0.
    pub(crate) async fn succeeds<A: AsRef<OsStr>>(self, arguments: &[A]) -> Result<bool, GitError> {
        Ok(self.output(arguments, b"").await?.1.status.success())
    }

    async fn output<A: AsRef<OsStr>>(
        mut self,
        arguments: &[A],
        input: &[u8],
    ) -> Result<(String, std::process::Output), GitError> {
        if let Some(first) = arguments.first() {
            self.call = first.as_ref().to_string_lossy().into_owned();
        }
        let call = self.call;
        self.command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let run = async {
            let mut child = self.command.spawn()?;
            let stdin = child.stdin.take();
            let (_, output) = tokio::join!(feed(stdin, input), child.wait_with_output());
            output
        };
        match tokio::time::timeout(BOUND, run).await {
            Ok(Ok(output)) => Ok((call, output)),
            Ok(Err(error)) => Err(GitError::Start(error)),
            Err(_) => Err(GitError::TooLong { call }),
        }
    }
}

/// What git does not read of its input shows in how it ends.
async fn feed(stdin: Option<ChildStdin>, input: &[u8]) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(input).await;
    }
}
