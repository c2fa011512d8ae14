//! What is decided about an event, and what follows from it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::BusinessKey;
use crate::{
    event::{Repository, Sender, Subject},
    ids::{Attempt, RunId},
    run::Step,
    services_yaml::AgentName,
    text_enum::text_enum,
};

text_enum! {
    /// Kinds of verdicts, as the ledger keeps them.
    VerdictKind {
        /// It starts a run, or a new attempt of one.
        Started = "started",
        /// A run at work is told.
        Signalled = "signalled",
        /// The same wish was already followed.
        Duplicate = "duplicate",
        /// No rule of the project reads it.
        NoRule = "no_rule",
        /// The repository is not connected.
        RepositoryUnknown = "repository_unknown",
        /// A limit against loops holds it back.
        LoopGuard = "loop_guard",
        /// Two labels ask for two agents at once.
        TwoAgentLabels = "two_agent_labels",
        /// A run is already at work on this issue or pull request.
        AlreadyWorking = "already_working",
        /// The repository is archived.
        Archived = "archived",
        /// It is our own write coming back.
        Echo = "echo",
        /// The cancel came before the start.
        CancelledBeforeStart = "cancelled_before_start",
        /// No run is there to cancel.
        NothingToCancel = "nothing_to_cancel",
        /// No run is there to retry.
        NothingToRetry = "nothing_to_retry",
        /// The project's settings are read again.
        ConfigRefresh = "config_refresh",
        /// The repository's own facts are brought up to date.
        RepositoryUpdated = "repository_updated",
        /// It would start something, and a pause holds that back.
        Paused = "paused",
        /// It was read and there is nothing to do.
        Ignored = "ignored",
    }
}

/// What is decided about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The kind.
    pub kind: VerdictKind,
    /// Why, as a sentence for people.
    pub reason: String,
    /// The existing run that it is about; a run that it starts has no id yet.
    pub run: Option<RunId>,
    /// What follows.
    pub effect: Effect,
}

/// What follows from a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// Start a run.
    Start(Box<NewRun>),
    /// End a run at work.
    Cancel(CancelRun),
    /// Begin a new attempt of a finished run.
    Retry(RetryRun),
    /// Remember that a start that may still arrive is already cancelled.
    MarkCancel(CancelMark),
    /// Read the project's settings again at this commit of the default branch.
    RefreshConfig {
        /// The new head of the default branch.
        sha: String,
    },
    /// The repository has another name, owner, default branch or visibility; what the event leaves out stays.
    UpdateRepository(Repository),
}

text_enum! {
    /// Kinds of effects.
    EffectKind {
        /// Nothing.
        None = "none",
        /// A run starts.
        Start = "start",
        /// A run at work ends.
        Cancel = "cancel",
        /// A finished run begins again.
        Retry = "retry",
        /// A start that may still arrive is cancelled.
        MarkCancel = "mark_cancel",
        /// The project's settings are read.
        RefreshConfig = "refresh_config",
        /// The repository's own facts are brought up to date.
        UpdateRepository = "update_repository",
    }
}

impl Effect {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> EffectKind {
        match self {
            Self::None => EffectKind::None,
            Self::Start(_) => EffectKind::Start,
            Self::Cancel(_) => EffectKind::Cancel,
            Self::Retry(_) => EffectKind::Retry,
            Self::MarkCancel(_) => EffectKind::MarkCancel,
            Self::RefreshConfig { .. } => EffectKind::RefreshConfig,
            Self::UpdateRepository(_) => EffectKind::UpdateRepository,
        }
    }
}

/// A run to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRun {
    /// Unique: the second run with it is not started.
    pub business_key: BusinessKey,
    /// What it is about.
    pub subject: Subject,
    /// Title of that.
    pub subject_title: String,
    /// Which agent.
    pub agent: AgentName,
    /// What the person wrote after `/run <agent>`; may be empty.
    pub instructions: String,
    /// What started it.
    pub trigger: Trigger,
    /// Who asked.
    pub requested_by: Sender,
    /// The runs that led to this one, oldest first.
    pub cause_chain: Vec<RunId>,
    /// How many runs in a row, this one included, were caused by machines with no person in between.
    pub machine_depth: u32,
    /// A `/cancel` that arrived first: it follows the start at once, and the workflow decides whether its sender may.
    pub then_cancel: Option<CancelRequest>,
}

/// What started a run. Stored with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Trigger {
    /// A label.
    Label {
        /// Its name.
        label: String,
        /// When it was put on.
        at: DateTime<Utc>,
    },
    /// A comment.
    Command {
        /// The comment's id on the forge.
        comment_id: i64,
        /// When it was written.
        at: DateTime<Utc>,
    },
    /// A review of our pull request that asks for changes.
    Review {
        /// The review's id on the forge.
        review_id: i64,
        /// When it was submitted.
        at: DateTime<Utc>,
    },
    /// A check that fails on the head of our pull request.
    Checks {
        /// The commit.
        head_sha: String,
        /// Name of the check that was told first.
        name: String,
        /// Where people read more about it.
        url: Option<String>,
        /// When it ended.
        at: DateTime<Utc>,
    },
    /// A person in the console.
    Manual {
        /// When it was asked for.
        at: DateTime<Utc>,
    },
    /// A schedule of the project's settings.
    Schedule {
        /// Its name.
        name: String,
        /// The moment it was for.
        at: DateTime<Utc>,
    },
}

text_enum! {
    /// Kinds of triggers.
    TriggerKind {
        /// A label.
        Label = "label",
        /// A comment.
        Command = "command",
        /// A review that asks for changes.
        Review = "review",
        /// A check that fails.
        Checks = "checks",
        /// A person in the console.
        Manual = "manual",
        /// A schedule of the project's settings.
        Schedule = "schedule",
    }
}

impl Trigger {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> TriggerKind {
        match self {
            Self::Label { .. } => TriggerKind::Label,
            Self::Command { .. } => TriggerKind::Command,
            Self::Review { .. } => TriggerKind::Review,
            Self::Checks { .. } => TriggerKind::Checks,
            Self::Manual { .. } => TriggerKind::Manual,
            Self::Schedule { .. } => TriggerKind::Schedule,
        }
    }

    /// When it happened, by the forge's clock where the forge sent it.
    #[must_use]
    pub const fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Label { at, .. }
            | Self::Command { at, .. }
            | Self::Review { at, .. }
            | Self::Checks { at, .. }
            | Self::Manual { at }
            | Self::Schedule { at, .. } => *at,
        }
    }

    /// The label that started it, if one did.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        match self {
            Self::Label { label, .. } => Some(label),
            Self::Command { .. }
            | Self::Review { .. }
            | Self::Checks { .. }
            | Self::Manual { .. }
            | Self::Schedule { .. } => None,
        }
    }

    /// Whether it asks for another commit on a pull request of ours.
    #[must_use]
    pub const fn revises(&self) -> bool {
        matches!(self, Self::Review { .. } | Self::Checks { .. })
    }
}

/// Who wants a run to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRequest {
    /// Who.
    pub by: Sender,
    /// How, as the end of a sentence: "took the label `run:dev` off".
    pub how: String,
    /// Whether the forge has already checked the person's rights: it does for labels and for closing, not for a comment.
    /// If not, the workflow asks for the person's permission first.
    pub trusted: bool,
}

/// End a run at work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelRun {
    /// The run.
    pub run: RunId,
    /// Who wants it.
    pub request: CancelRequest,
}

/// What becomes of the work that an earlier attempt's agent had done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EarlierWork {
    /// Nobody asked for it.
    #[default]
    NotAsked,
    /// It was asked for, and none was kept.
    NoneKept,
    /// The agent goes on from that of this attempt.
    Kept(Attempt),
}

/// Begin a new attempt of a finished run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryRun {
    /// Unique: the second retry with it is not begun.
    pub business_key: BusinessKey,
    /// The run.
    pub run: RunId,
    /// Where to begin; none: from the start.
    pub from: Option<Step>,
    /// What becomes of the work that an earlier attempt's agent had done.
    pub earlier_work: EarlierWork,
    /// Who asked.
    pub requested_by: Sender,
    /// When the comment was written.
    pub at: DateTime<Utc>,
}

/// A cancel without a run: it holds back starts that happened before it and arrive later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelMark {
    /// Only starts by this label; none: all.
    pub label: Option<String>,
    /// Starts that happened at this time or before are held back.
    pub at: DateTime<Utc>,
    /// Who wants it, and with what right.
    pub request: CancelRequest,
}
