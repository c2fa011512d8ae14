//! What ingest has looked up before the decision. Each fact is one indexed read.

use chrono::{DateTime, Utc};

use crate::{
    event::Sender,
    ids::{Attempt, RepositoryId, RunId},
    pauses::Pause,
    services_yaml::{AgentName, ServicesYaml},
};

use super::{CancelMark, Trigger};

/// What is known when an event is judged.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The connected repository; none if the event's is not connected.
    pub repository: Option<KnownRepository>,
    /// The project's settings, or the defaults.
    pub config: ServicesYaml,
    /// The run that is not finished, about the event's subject.
    pub active_run: Option<KnownRun>,
    /// The newest finished run about the event's subject.
    pub last_run: Option<KnownRun>,
    /// The newest kept work of the last run, where `/retry continue` asks for it.
    pub kept_work: Option<KeptWork>,
    /// The run that was started or retried under this event's business key.
    pub run_by_key: Option<RunId>,
    /// A stored intent matches one of [`crate::intent::probes`].
    pub echo: bool,
    /// Marks about the event's subject.
    pub cancel_marks: Vec<CancelMark>,
    /// Runs and retries about the event's subject within the last hour.
    pub runs_last_hour: u32,
    /// Those of them that a bot asked for.
    pub bot_runs_last_hour: u32,
    /// The run that the event may be a consequence of.
    pub parent: Option<Parent>,
    /// The pauses that hold for the project.
    pub pauses: Vec<Pause>,
    /// Set if the event's subject is a pull request that a run of ours opened.
    pub own_pull: Option<OwnPull>,
}

/// The run before the event: the one that last wrote where it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The runs that caused one another up to there, oldest first; it is the last one.
    pub chain: Vec<RunId>,
    /// How many runs in a row up to there were caused by machines, with no person in between.
    pub machine_depth: u32,
}

/// A pull request of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnPull {
    /// Its number.
    pub number: i64,
    /// Its title, near enough: that of what its newest run was about.
    pub title: String,
    /// The agent that works on it.
    pub agent: AgentName,
    /// Who asked for the newest run of it.
    pub requested_by: Sender,
    /// How often it was revised.
    pub revisions: u32,
}

/// A connected repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownRepository {
    /// Our id.
    pub id: RepositoryId,
    /// Its default branch as we know it.
    pub default_branch: String,
    /// Whether it was archived when we last heard.
    pub archived: bool,
    /// Whether it was detached: nothing that is said there counts any more.
    pub detached: bool,
}

/// Work of an agent that was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptWork {
    /// The attempt whose work it is.
    pub attempt: Attempt,
    /// When it was kept.
    pub at: DateTime<Utc>,
}

/// A run about the event's subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownRun {
    /// Its id.
    pub id: RunId,
    /// Its agent.
    pub agent: AgentName,
    /// What started it.
    pub trigger: Trigger,
    /// The forge's number of who asked for it.
    pub requested_by: i64,
}
