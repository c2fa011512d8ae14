//! What starts, finds and ends Jobs. The Job's name is the key: one name is started once, however often it is asked for.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::{
    ids::{Attempt, ProjectSlug, RunId},
    job::{JobPresence, JobRuntime},
    job_ending::JobEnding,
    workflow_id::job_name,
};
use role::SecretText;
use url::Url;

/// Names a Job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobRef {
    /// The project that it works for.
    pub project: ProjectSlug,
    /// The run.
    pub run: RunId,
    /// Its attempt.
    pub attempt: Attempt,
}

impl JobRef {
    /// Its name: unique, a DNS label.
    #[must_use]
    pub fn name(&self) -> String {
        job_name(self.run, self.attempt)
    }
}

/// A Job to be started.
#[derive(Clone, Debug)]
pub struct JobOrder {
    /// Which one.
    pub job: JobRef,
    /// The launch token. It goes into a file that the runner can read, never into the Job's description.
    pub token: SecretText,
    /// Where the runner reports to.
    pub gateway_url: Url,
    /// Where Codex finds a model.
    pub model_url: Url,
    /// How long it may take in all, from its start.
    pub deadline: Duration,
    /// What it is to run in.
    pub runtime: JobRuntime,
}

/// Something that the cluster said about a Job or its pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobEvent {
    /// The cluster's own id of it; the same event counts up.
    pub uid: String,
    /// How often it happened.
    pub count: u32,
    /// When it last happened.
    pub at: DateTime<Utc>,
    /// Whether it is a warning.
    pub warning: bool,
    /// One word, such as `FailedScheduling`.
    pub reason: String,
    /// The cluster's words.
    pub message: String,
}

/// Bytes of a Job's output that are kept as evidence, at most.
pub const LAST_OUTPUT: usize = 64 * 1024;

/// A Job that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundJob {
    /// Which one.
    pub job: JobRef,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// Why a launcher could not do it.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// May pass.
    #[error("{}", domain::sentences::launcher_away(.0))]
    Unavailable(String),
    /// Will not.
    #[error("{}", domain::sentences::launch_refused(.0))]
    Refused(String),
}

/// Runs Jobs: as Kubernetes Jobs, or as local processes in the development kit. Each may be asked for twice.
#[async_trait]
pub trait JobLauncher: Send + Sync {
    /// Starts the Job unless one of this name was started before.
    async fn launch(&self, order: &JobOrder) -> Result<(), LaunchError>;

    /// What became of it.
    async fn presence(&self, job: &JobRef) -> Result<JobPresence, LaunchError>;

    /// Waits for its end, however long that takes, and tells how it ended; dropping the future ends the waiting. A Job that
    /// is not there has ended, too.
    async fn ended(&self, job: &JobRef) -> Result<JobEnding, LaunchError>;

    /// Whether it is there and nothing is known to be wrong with it, without asking anybody. Nothing is known of one that nobody waits for.
    fn is_well(&self, _job: &JobRef) -> bool {
        false
    }

    /// The last of what it wrote itself, as long as that is kept: at most [`LAST_OUTPUT`] bytes.
    async fn last_output(&self, job: &JobRef) -> Result<Option<String>, LaunchError>;

    /// Ends it: asks it to, and after `grace` makes it, with everything it started. Fine if there is none. When this is
    /// done, nothing of it lives.
    async fn stop(&self, job: &JobRef, grace: Duration) -> Result<(), LaunchError>;

    /// The node that it was on, if that is known not to be heard of any more.
    async fn lost_node(&self, _job: &JobRef) -> Result<Option<String>, LaunchError> {
        Ok(None)
    }

    /// What is said about it and its pods, oldest first.
    async fn events(&self, job: &JobRef) -> Result<Vec<JobEvent>, LaunchError>;

    /// Takes away what is left of a Job whose result was collected. Fine if there is none.
    async fn remove(&self, job: &JobRef) -> Result<(), LaunchError>;

    /// The Jobs of this installation that outlive their worker: what somebody has to look after.
    async fn list(&self) -> Result<Vec<FoundJob>, LaunchError>;

    /// The projects that something is kept for in the cluster.
    async fn projects(&self) -> Result<Vec<ProjectSlug>, LaunchError>;

    /// Removes what is kept for a project, its Jobs included. Fine if there is nothing.
    async fn remove_project(&self, project: &ProjectSlug) -> Result<(), LaunchError>;
}
