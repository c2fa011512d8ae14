//! What the platform tells the runner, and what the runner reports back.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ids::{Attempt, RunId},
    services_yaml::{Quantity, Toleration},
};

/// Everything the runner needs to know. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// The run this Job belongs to.
    pub run: RunId,
    /// Its attempt.
    pub attempt: Attempt,
    /// `owner/name`, for people.
    pub repository: String,
    /// The pinned base commit, 40 hexadecimal digits.
    pub base_sha: String,
    /// Name of the agent, for instance `dev`.
    pub agent: String,
    /// Model name as the model API knows it.
    pub model: String,
    /// The whole prompt.
    pub prompt: String,
    /// Whether changes are wanted; if not, the work tree is thrown away and only the answer counts.
    pub wants_changes: bool,
    /// Subject line of the commit that the runner makes of uncommitted work.
    pub commit_subject: String,
    /// What gets the work tree ready before the agent.
    #[serde(default)]
    pub setup: SetupSpec,
    /// The project's own checks, run by the runner after the agent.
    #[serde(default)]
    pub checks: Vec<CheckCommand>,
    /// The kept work that the agent goes on from; none: it begins.
    #[serde(default)]
    pub resume: Option<Resume>,
    /// Bounds.
    pub limits: JobLimits,
}

/// What an agent is told that goes on: from the kept work of an attempt that was lost, or in the thread in which it made the
/// pull request that it revises. Work and thread themselves are fetched apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// Whether there is kept work to be put into the work tree; if not, the base has all of it.
    #[serde(default = "with_work")]
    pub with_work: bool,
    /// Codex's thread; none if there is none to go on in.
    pub thread_id: Option<String>,
    /// Said in that thread.
    pub prompt: String,
    /// The whole prompt for an agent without that thread.
    pub fresh_prompt: String,
}

const fn with_work() -> bool {
    true
}

/// One check of the project: a shell command that must exit 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckCommand {
    /// For people, unique within the project.
    pub name: String,
    /// Run with `sh -c` in the root of the work tree.
    pub run: String,
    /// Seconds until it counts as failed.
    pub timeout_secs: u64,
}

/// What gets the work tree ready before the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupSpec {
    /// Run in this order; the first that fails ends the Job before the agent is started.
    #[serde(default)]
    pub commands: Vec<CheckCommand>,
    /// What may be taken from an earlier run instead; none: nothing.
    #[serde(default)]
    pub cache: Option<SetupCache>,
}

/// Seconds that fetching and storing what set-up leaves behind may take together; beyond, set-up does without.
pub const SETUP_CACHE_SECS: u64 = 240;

/// What set-up leaves behind, kept between runs of one repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupCache {
    /// Made of the commands and the key files at the base, 64 hexadecimal digits. The gateway reads it here, too: a runner
    /// can't ask for another one.
    pub key: String,
    /// What is kept: relative to the work tree, or to the home folder where it begins with `~/`.
    pub paths: Vec<String>,
    /// Whether this Job may store it: only one that begins at a commit of the default branch.
    pub may_store: bool,
}

/// Bounds of a Job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobLimits {
    /// Seconds for the agent's whole turn; the checks have their own.
    pub agent_secs: u64,
    /// Bytes of output kept; what is beyond is counted and dropped.
    pub log_bytes: u64,
    /// Seconds between two checkpoints of the agent's work.
    #[serde(default = "default_checkpoint_secs")]
    pub checkpoint_secs: u64,
}

/// Seconds between two checkpoints, unless a Job is told otherwise.
pub const CHECKPOINT_SECS: u64 = 120;

const fn default_checkpoint_secs() -> u64 {
    CHECKPOINT_SECS
}

/// What a Job is to run in. What is absent is the launcher's choice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobRuntime {
    /// The image of the agent's container; nothing but `/bin/sh` is needed in it.
    pub image: Option<String>,
    /// Most processor time.
    pub cpu: Option<Quantity>,
    /// Memory.
    pub memory: Option<Quantity>,
    /// Room on the node's disk, for the work tree and everything else that is written.
    pub ephemeral_storage: Option<Quantity>,
    /// Labels that its node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes that it bears.
    pub tolerations: Vec<Toleration>,
    /// The cluster's RuntimeClass, for instance `gvisor`.
    pub runtime_class: Option<String>,
}

/// What the launcher knows about a Job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobPresence {
    /// Never started, so it may be started now.
    Absent,
    /// At work.
    Running,
    /// Over.
    Ended,
}

/// A part of the output on its way to the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LogChunk {
    /// Counts up from 0 within the attempt; the key that makes sending twice harmless.
    pub seq: u64,
    /// When it was read.
    pub at: DateTime<Utc>,
    /// Where it comes from.
    pub stream: LogStream,
    /// The text; invalid UTF-8 was replaced.
    pub text: String,
}

/// Sources of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    /// Codex's JSON lines.
    Codex,
    /// Codex's standard error.
    CodexStderr,
    /// Output of a set-up command.
    Setup,
    /// Output of a check.
    Check,
    /// The runner's own words.
    Runner,
}

impl LogStream {
    /// Every one, in the order in which a Job comes to them.
    pub const ALL: &'static [Self] = &[Self::Setup, Self::Codex, Self::CodexStderr, Self::Check, Self::Runner];

    /// The stable text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Codex => "codex",
            Self::CodexStderr => "codex_stderr",
            Self::Setup => "setup",
            Self::Check => "check",
            Self::Runner => "runner",
        }
    }
}

/// A heartbeat of the runner, with whatever output there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogBatch {
    /// In order of `seq`; may be empty.
    pub chunks: Vec<LogChunk>,
}

/// The answer to a heartbeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogAck {
    /// True once the run is being cancelled.
    pub cancel: bool,
}

/// The evidence: what happened in the Job. The platform judges the outcome from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReport {
    /// How the agent's turn ended.
    pub end: AgentEnd,
    /// Codex's thread, to resume it later.
    pub thread_id: Option<String>,
    /// The agent's final message.
    pub last_message: Option<String>,
    /// Tokens as Codex counted them.
    pub usage: Usage,
    /// One result a check; empty if they were not run.
    pub checks: Vec<CheckResult>,
    /// Head of the result bundle; none if the work tree equals the base.
    pub head_sha: Option<String>,
    /// Files that differ from the base.
    pub changed_files: u32,
    /// Bytes of output that were over the limit and dropped.
    pub dropped_log_bytes: u64,
    /// What the agent went on from, where it was to go on from kept work.
    #[serde(default)]
    pub resumed: Option<Resumed>,
    /// When the Job began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
}

/// What an agent went on from that was to go on from kept work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resumed {
    /// Its work and its thread.
    Thread,
    /// Its work; the thread could not be used, and another one was begun.
    Work,
    /// Nothing: the work could not be used either, and the agent began anew.
    Nothing,
}

impl JobReport {
    /// Whether the Job says that it was asked to end while nobody of ours had asked: it was put out by its surroundings, and this
    /// tells nothing about its work.
    #[must_use]
    pub fn is_of_interrupted(&self, was_asked: bool) -> bool {
        self.end == AgentEnd::Cancelled && !was_asked
    }
}

/// How the agent's turn ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AgentEnd {
    /// `turn.completed` and exit 0.
    Completed,
    /// `turn.failed`, or it exited otherwise.
    Failed {
        /// What kind of failure, as far as the text tells.
        class: AgentFailure,
        /// Codex's own words, shortened.
        message: String,
    },
    /// The outer deadline ended it.
    DeadlineExceeded,
    /// It was asked to end: by a person through the platform, or by what stops programs on its machine.
    Cancelled,
    /// A set-up command of the project failed, so the agent was not started.
    SetupFailed {
        /// The command.
        command: String,
        /// Its exit code; none if a signal or the time limit ended it.
        exit_code: Option<i32>,
        /// The last part of its output.
        output_tail: String,
    },
    /// The runner could not prepare or start the agent.
    NotStarted {
        /// Why.
        message: String,
    },
}

/// Kinds of agent failure, judged from Codex's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentFailure {
    /// The model API said 429.
    RateLimited,
    /// The model API said 401 or 403.
    Unauthorised,
    /// The account has no quota left.
    QuotaExceeded,
    /// The model API failed with 5xx or was not reachable.
    ModelUnavailable,
    /// The answer stream was cut.
    StreamCut,
    /// Anything else.
    Other,
}

/// Tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Usage {
    /// All input tokens, cached ones included.
    #[serde(default)]
    pub input_tokens: u64,
    /// Input tokens that came from the cache.
    #[serde(default)]
    pub cached_input_tokens: u64,
    /// Output tokens, reasoning included.
    #[serde(default)]
    pub output_tokens: u64,
    /// Output tokens spent on reasoning.
    #[serde(default)]
    pub reasoning_output_tokens: u64,
}

/// Result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CheckResult {
    /// Name of the check.
    pub name: String,
    /// Whether it exited 0 in time.
    pub passed: bool,
    /// Exit code; none if a signal or the time limit ended it.
    pub exit_code: Option<i32>,
    /// The last part of its output, at most 4 KiB, without control characters.
    pub output_tail: String,
    /// How long it took.
    pub duration_ms: u64,
}
