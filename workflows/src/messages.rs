//! What goes in and out of workflows and activities. Small on purpose: ids and verdicts; the facts lie in the database.

use domain::{
    connection::ConnectionPurpose,
    ids::{Attempt, ConnectionId, ProjectId, RunId},
    run::{Outcome, Step},
};
use serde::{Deserialize, Serialize};

/// Input of [`crate::AgentRun`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRunInput {
    /// The run.
    pub run: RunId,
    /// The attempt that this workflow is.
    pub attempt: Attempt,
    /// Where to begin; steps before it are taken from the earlier attempt. None: from the start.
    #[serde(default)]
    pub from_step: Option<Step>,
}

/// Names the attempt an activity works for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRef {
    /// The run.
    pub run: RunId,
    /// Its attempt.
    pub attempt: Attempt,
}

/// Whether the person who asked may have this done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorised {
    /// The answer.
    pub allowed: bool,
    /// One sentence for people.
    pub reason: String,
}

/// Answer to a claim for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotClaim {
    /// The slot is held now.
    pub granted: bool,
    /// Place in the queue, 1 being next; 0 once granted.
    pub place: u32,
}

/// What cloning found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspace {
    /// The pinned base commit.
    pub base_sha: String,
    /// Seconds the Job may take from launch to report: the agent's, the checks' and some for the way.
    pub job_secs: u64,
}

/// How watching a Job ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum JobEnd {
    /// The runner's report is stored.
    Reported,
    /// The Job is gone or silent, and there is no report.
    Lost {
        /// What was seen, as a sentence.
        cause: String,
    },
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEnd {
    /// The class.
    pub outcome: Outcome,
    /// Why, as a sentence for people.
    pub cause: String,
}

/// What collecting the evidence came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Verdict {
    /// There is something to publish.
    Publish,
    /// It ends here.
    End(RunEnd),
}

/// A person wants the run to end; the workflow asks the forge whether they may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRequest {
    /// Their login.
    pub by: String,
    /// Their number on the forge.
    pub by_id: i64,
    /// Where they asked, for people: `/cancel` in comment 17.
    pub source: String,
}

/// Input of the activity that checks a [`CancelRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelCheck {
    /// The run to be ended.
    pub at: RunRef,
    /// Who asks.
    pub request: CancelRequest,
}

/// Input of settling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// What is settled.
    pub at: RunRef,
    /// How it ended.
    pub end: RunEnd,
}

/// When it is a run's turn to be shown on the forge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnToShow {
    /// Seconds until then; 0 where it is near enough to be waited for by the one who shows it.
    pub wait_secs: u64,
}

/// What is left to be shown on the forge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Seconds to wait until the next change is shown; grows as the credential's budget shrinks, and is as long as the forge or the pace of
    /// writes demands.
    pub pause_secs: u64,
    /// Whether there is something to show after that wait, whatever else happens: the run has moved on meanwhile, or could not be shown yet.
    #[serde(default)]
    pub moved_on: bool,
}

/// Answer to the status query: where the workflow is, by its own account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStatus {
    /// The step it is in.
    pub step: Option<Step>,
    /// Whether it holds a slot.
    pub slot_granted: bool,
    /// Who cancelled it, once somebody did.
    pub cancelled_by: Option<String>,
    /// How it ended, once it did.
    pub end: Option<RunEnd>,
}

/// Names the connection: the input of [`crate::ConnectRepository`] and of its activities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRef {
    /// The connection; everything else is in its row.
    pub connection: ConnectionId,
    /// What is to be done, which decides the way that the workflow takes.
    #[serde(default)]
    pub purpose: ConnectionPurpose,
}

/// What became of looking at a credential's rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RightsVerdict {
    /// Whether the repository is to be connected now: it was asked for, and nothing is missing.
    pub connect: bool,
}

/// What is left to wait for in a repository that is being detached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunsLeft {
    /// Runs that have not ended.
    pub runs: usize,
}

/// How connecting ended, or whatever else was done to a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionEnd {
    /// The connection.
    pub connection: ConnectionId,
    /// What it failed with; none if it got to its end.
    #[serde(default)]
    pub failure: Option<String>,
    /// What could not be done although it got to its end, as a sentence.
    #[serde(default)]
    pub left: Option<String>,
}

/// Names the project: the input of [`crate::DeleteProject`] and of its activities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectRef {
    /// Which.
    pub project: ProjectId,
}

/// What is left to wait for in a project that is being deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectLeft {
    /// Whether nothing is.
    pub nothing: bool,
}
