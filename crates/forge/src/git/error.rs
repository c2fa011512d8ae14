//! How git can fail us.

use std::{fmt, io, path::PathBuf, time::Duration};

use domain::sentences;

/// A failed git operation. Its texts never carry the credential.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// git ran and refused.
    #[error("{}", sentences::git_failed(operation, class, exit_text(*exit), stderr))]
    Failed {
        /// The git command.
        operation: String,
        /// Its exit code; none if a signal ended it.
        exit: Option<i32>,
        /// The last part of what it said.
        stderr: String,
        /// What it means.
        class: GitErrorClass,
    },
    /// git could not be started.
    #[error("{}", sentences::git_not_started())]
    Start {
        /// Why.
        source: io::Error,
    },
    /// It took too long and was killed.
    #[error("{}", sentences::git_too_slow(operation, format_args!("{after:?}")))]
    TimedOut {
        /// The git command, or what was waited for.
        operation: String,
        /// The limit.
        after: Duration,
    },
    /// What git wrote can't be understood.
    #[error("git {operation} wrote something unexpected: {detail}")]
    Output {
        /// The git command.
        operation: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// More than the platform handles.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What it is.
        what: String,
        /// The limit.
        limit: usize,
    },
    /// A file or folder around git.
    #[error("{}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What a failure means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GitErrorClass {
    /// The credential is wrong, or lacks the right.
    Auth,
    /// No such repository, reference, commit or file.
    NotFound,
    /// Somebody else's commits are there: rebase, or report the conflict.
    NonFastForward,
    /// The server does not accept it: a protected branch, a hook.
    Rejected,
    /// The server is out of order or out of reach.
    Network,
    /// Anything else.
    Other,
}

impl fmt::Display for GitErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auth => "credential",
            Self::NotFound => "not found",
            Self::NonFastForward => "not a fast-forward",
            Self::Rejected => "rejected",
            Self::Network => "network",
            Self::Other => "other",
        })
    }
}

fn exit_text(exit: Option<i32>) -> String {
    exit.map_or_else(|| "killed".to_owned(), |code| format!("exit {code}"))
}

impl GitError {
    /// What it means for the caller.
    #[must_use]
    pub const fn class(&self) -> GitErrorClass {
        match self {
            Self::Failed { class, .. } => *class,
            Self::TimedOut { .. } => GitErrorClass::Network,
            _ => GitErrorClass::Other,
        }
    }

    /// Whether the same call can succeed later without anyone changing anything.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self.class(), GitErrorClass::Network)
    }

    /// A stable name of the class, for typed failures of activities and for logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self.class() {
            GitErrorClass::Auth => "git_auth",
            GitErrorClass::NotFound => "git_not_found",
            GitErrorClass::NonFastForward => "git_non_fast_forward",
            GitErrorClass::Rejected => "git_rejected",
            GitErrorClass::Network => "git_network",
            GitErrorClass::Other => "git_other",
        }
    }
}

/// Judges by git's own words, which `LC_ALL=C` keeps stable. The order matters: a refused push also says "failed to push".
pub(super) fn classify(stderr: &str) -> GitErrorClass {
    let text = stderr.to_ascii_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if any(&["non-fast-forward", "fetch first", "stale info", "cannot lock ref", "failed to update ref", "needs force"])
    {
        GitErrorClass::NonFastForward
    } else if any(&["remote rejected", "hook declined", "protected branch"]) {
        GitErrorClass::Rejected
    } else if any(&[
        "authentication failed",
        "could not read username",
        "could not read password",
        "returned error: 401",
        "returned error: 403",
        "permission denied",
        "permission to ",
    ]) {
        GitErrorClass::Auth
    } else if any(&[
        "returned error: 404",
        "repository not found",
        "does not appear to be a git repository",
        "couldn't find remote ref",
        "unknown revision",
        "bad revision",
        "bad object",
        "not a valid object name",
        "not a valid commit name",
        "invalid object name",
        "needed a single revision",
        "not a tree object",
    ]) || (text.contains("repository '") && text.contains("not found"))
    {
        GitErrorClass::NotFound
    } else if any(&[
        "could not resolve host",
        "failed to connect",
        "couldn't connect",
        "connection refused",
        "connection reset",
        "connection timed out",
        "operation too slow",
        "operation timed out",
        "early eof",
        "hung up unexpectedly",
        "unexpected disconnect",
        "empty reply from server",
        "rpc failed",
        "returned error: 429",
        "returned error: 5",
    ]) {
        GitErrorClass::Network
    } else {
        GitErrorClass::Other
    }
}

#[cfg(test)]
mod tests {
    use super::{GitErrorClass::*, classify};

    #[test]
    fn words_of_git_and_their_meaning() {
        let table = [
            ("! [rejected] b -> b (fetch first)", NonFastForward),
            ("! [rejected] b -> b (stale info)", NonFastForward),
            ("! [remote rejected] b -> b (cannot lock ref 'refs/heads/b': is at 1 but expected 2)", NonFastForward),
            ("! [remote rejected] main -> main (protected branch hook declined)", Rejected),
            ("fatal: Authentication failed for 'https://h/o/n/'", Auth),
            ("fatal: could not read Username for 'http://h': terminal prompts disabled", Auth),
            ("fatal: unable to access 'https://h/': The requested URL returned error: 403", Auth),
            ("remote: Repository not found.\nfatal: repository 'https://h/o/n/' not found", NotFound),
            ("fatal: couldn't find remote ref refs/heads/x", NotFound),
            ("fatal: unable to access 'https://h/': Could not resolve host: h", Network),
            ("fatal: unable to access 'https://h/': The requested URL returned error: 502", Network),
            ("error: RPC failed; curl 18 transfer closed", Network),
            ("fatal: something new", Other),
        ];
        for (stderr, class) in table {
            assert_eq!(classify(stderr), class, "{stderr}");
        }
    }
}
