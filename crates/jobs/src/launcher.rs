//! What starts, finds and ends Jobs. The Job's name is the key: one name is started once, however often it is asked for.

use std::time::Duration;

use async_trait::async_trait;
use domain::{
    ids::{Attempt, RunId},
    job::JobPresence,
};
use role::SecretText;
use url::Url;

/// A Job to be started.
#[derive(Clone, Debug)]
pub struct JobOrder {
    /// Unique; see [`domain::workflow_id::job_name`].
    pub name: String,
    /// The run, for labels and logs.
    pub run: RunId,
    /// Its attempt.
    pub attempt: Attempt,
    /// The run token. It goes into a file that the runner can read and remove, never into the Job's description.
    pub token: SecretText,
    /// Where the runner reports to.
    pub gateway_url: Url,
    /// Where Codex finds a model.
    pub model_url: Url,
}

/// Why a launcher could not do it.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// May pass.
    #[error("the Job launcher is not available: {0}")]
    Unavailable(String),
    /// Will not.
    #[error("the Job can't be started: {0}")]
    Refused(String),
}

/// Runs Jobs: as Kubernetes Jobs, or as local processes in the development kit.
#[async_trait]
pub trait JobLauncher: Send + Sync {
    /// Starts the Job unless one of this name was started before.
    async fn launch(&self, order: &JobOrder) -> Result<(), LaunchError>;

    /// What became of it.
    async fn presence(&self, name: &str) -> Result<JobPresence, LaunchError>;

    /// Ends it: asks it to, and after `grace` makes it, with everything it started. Fine if there is none.
    async fn stop(&self, name: &str, grace: Duration) -> Result<(), LaunchError>;
}
