//! How an activity fails: so that the engine knows whether, and when, repeating can help.

use std::time::Duration;

use chrono::{DateTime, Utc};
use temporalio_common::{ActivityError, error::ApplicationFailure};

/// A failed step, sorted by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// It may pass: repeat it with back-off.
    #[error("{0:#}")]
    Passing(anyhow::Error),
    /// The other side said when to come back.
    #[error("{message}")]
    NotBefore {
        /// The earliest moment.
        at: DateTime<Utc>,
        /// What it waits for.
        message: String,
    },
    /// Repeating changes nothing.
    #[error("{message}")]
    Final {
        /// A stable name of the class.
        code: &'static str,
        /// A sentence for people.
        message: String,
    },
    /// The run was cancelled meanwhile.
    #[error("cancelled")]
    Cancelled,
    /// Another worker goes on with it.
    #[error("the worker leaves; another one begins this anew")]
    WorkerLeaves,
}

impl StepError {
    /// A failure that repeating does not change.
    pub fn fatal(code: &'static str, message: impl Into<String>) -> Self {
        Self::Final { code, message: message.into() }
    }

    /// A failure that may pass.
    pub fn passing(error: impl Into<anyhow::Error>) -> Self {
        Self::Passing(error.into())
    }

    /// The form the engine understands.
    #[must_use]
    pub fn into_activity_error(self, now: DateTime<Utc>) -> ActivityError {
        let text = self.to_string();
        let failure = match self {
            Self::Cancelled => return ActivityError::cancelled(),
            Self::Passing(_) => ApplicationFailure::builder(text).type_name("passing".to_owned()).build(),
            Self::WorkerLeaves => ApplicationFailure::builder(text).type_name("worker_leaves".to_owned()).build(),
            Self::NotBefore { at, .. } => {
                let wait = (at - now).to_std().unwrap_or_default().max(Duration::from_secs(1));
                ApplicationFailure::builder(text).type_name("not_before".to_owned()).next_retry_delay(wait).build()
            }
            Self::Final { code, .. } => {
                ApplicationFailure::builder(text).type_name(code.to_owned()).non_retryable(true).build()
            }
        };
        ActivityError::application(failure)
    }
}

impl From<store::StoreError> for StepError {
    fn from(error: store::StoreError) -> Self {
        match error {
            store::StoreError::Corrupt { .. } => Self::fatal("store_corrupt", error.to_string()),
            other => Self::passing(other),
        }
    }
}

impl From<forge::ForgeError> for StepError {
    fn from(error: forge::ForgeError) -> Self {
        match (error.is_retryable(), error.retry_at()) {
            (true, Some(at)) => Self::NotBefore { at, message: error.to_string() },
            (true, None) => Self::passing(error),
            (false, _) => Self::fatal(error.code(), error.to_string()),
        }
    }
}

impl From<forge::git::GitError> for StepError {
    fn from(error: forge::git::GitError) -> Self {
        use forge::git::GitErrorClass::{Auth, NonFastForward, NotFound, Rejected};
        match error.class() {
            Auth | NonFastForward | NotFound | Rejected => Self::fatal(error.code(), error.to_string()),
            _ => Self::passing(error),
        }
    }
}

impl From<jobs::LaunchError> for StepError {
    fn from(error: jobs::LaunchError) -> Self {
        match error {
            jobs::LaunchError::Unavailable(_) => Self::passing(error),
            jobs::LaunchError::Refused(_) => Self::fatal("launch_refused", error.to_string()),
        }
    }
}

impl From<secret_scan::RulesError> for StepError {
    fn from(error: secret_scan::RulesError) -> Self {
        Self::fatal("secret_rules", error.to_string())
    }
}

impl From<std::io::Error> for StepError {
    fn from(error: std::io::Error) -> Self {
        Self::passing(error)
    }
}
