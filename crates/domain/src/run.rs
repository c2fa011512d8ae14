//! A run and where it can be: states, steps, outcomes, and what each looks like on the forge.

pub use crate::text_enum::UnknownText;
use crate::{sentences, text_enum::text_enum};

text_enum! {
    /// Where a run is, coarsely.
    RunState {
        /// Accepted; the engine has not begun it yet.
        Queued = "queued",
        /// Waiting for a slot of its project.
        Waiting = "waiting",
        /// Holds a slot and works.
        Working = "working",
        /// Ended, with an [`Outcome`].
        Finished = "finished",
    }
}

text_enum! {
    /// The steps of a run, in order.
    Step {
        /// Is the sender allowed to do this?
        Authorise = "authorise",
        /// Wait for a slot of the project.
        Slot = "slot",
        /// Pin the base commit, read `services.yaml`, pack the workspace.
        Clone = "clone",
        /// Write the agent's prompt.
        Prompt = "prompt",
        /// Start the Job.
        Launch = "launch",
        /// The agent works, then the project's checks run.
        Agent = "agent",
        /// Judge the outcome from the evidence.
        Collect = "collect",
        /// Verify, push, open or update the pull request; or post the review or answer.
        Publish = "publish",
        /// Record the end, release the slot, archive.
        Settle = "settle",
    }
}

text_enum! {
    /// How a run ended. Judged from evidence, never from an exit code alone.
    Outcome {
        /// A pull request with the change is open.
        PullRequestOpen = "pull_request_open",
        /// A review was posted.
        ReviewPosted = "review_posted",
        /// An answer was posted as a comment.
        AnswerPosted = "answer_posted",
        /// The agent ended its turn and changed nothing.
        NoChange = "no_change",
        /// The project's own checks fail on the change.
        ChecksFailed = "checks_failed",
        /// A set-up command of the project failed before the agent was started.
        SetupFailed = "setup_failed",
        /// The sender or a policy did not allow it.
        Refused = "refused",
        /// A limit of time, calls or money was reached.
        BudgetSpent = "budget_spent",
        /// A person ended it.
        Cancelled = "cancelled",
        /// It was no longer heard of.
        Lost = "lost",
        /// A step failed for good.
        Failed = "failed",
    }
}

text_enum! {
    /// The state labels that we put on an issue, one at a time.
    StateLabel {
        /// Accepted.
        Queued = "codex:queued",
        /// The agent works.
        Working = "codex:working",
        /// Waits for a slot or a person.
        Waiting = "codex:waiting",
        /// Ended with something to look at.
        Done = "codex:done",
        /// Ended without.
        Failed = "codex:failed",
    }
}

impl Outcome {
    /// Whether the run did what was asked.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self, Self::PullRequestOpen | Self::ReviewPosted | Self::AnswerPosted | Self::NoChange)
    }

    /// One plain phrase for people.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::PullRequestOpen => "a pull request is open",
            Self::ReviewPosted => "a review was posted",
            Self::AnswerPosted => "an answer was posted",
            Self::NoChange => "the agent found nothing to change",
            Self::ChecksFailed => "the project's checks fail on the change",
            Self::SetupFailed => "the project's set-up failed",
            Self::Refused => "refused",
            Self::BudgetSpent => "a limit was reached",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
            Self::Failed => "failed",
        }
    }
}

impl Step {
    /// One plain phrase for people: what happens in this step.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Authorise => sentences::step_authorise(),
            Self::Slot => sentences::step_slot(),
            Self::Clone => sentences::step_clone(),
            Self::Prompt => sentences::step_prompt(),
            Self::Launch => sentences::step_launch(),
            Self::Agent => sentences::step_agent(),
            Self::Collect => sentences::step_collect(),
            Self::Publish => sentences::step_publish(),
            Self::Settle => sentences::step_settle(),
        }
    }
}

/// The label that shows a state; `outcome` matters once the run is finished.
#[must_use]
pub const fn state_label(state: RunState, outcome: Option<Outcome>) -> StateLabel {
    match (state, outcome) {
        (RunState::Queued, _) => StateLabel::Queued,
        (RunState::Waiting, _) => StateLabel::Waiting,
        (RunState::Working, _) => StateLabel::Working,
        (RunState::Finished, Some(outcome)) if outcome.is_success() => StateLabel::Done,
        (RunState::Finished, _) => StateLabel::Failed,
    }
}

/// How the hidden markers of all our comments begin.
pub const MARKER_PREFIX: &str = "<!-- codex-k8s:";

/// The hidden marker by which the sticky comment of a run is found again.
#[must_use]
pub fn comment_marker(run: crate::ids::RunId) -> String {
    format!("<!-- codex-k8s:run:{run} -->")
}

/// The hidden marker of the review or the answer that a run posts.
#[must_use]
pub fn answer_marker(run: crate::ids::RunId) -> String {
    format!("{MARKER_PREFIX}answer:{run} -->")
}

/// The hidden marker of a run's answer to a comment on a line.
#[must_use]
pub fn reply_marker(run: crate::ids::RunId, comment: i64) -> String {
    format!("{MARKER_PREFIX}reply:{run}:{comment} -->")
}

/// The hidden marker of the comment that tells somebody that their retry was refused.
#[must_use]
pub fn refusal_marker(run: crate::ids::RunId, attempt: crate::ids::Attempt) -> String {
    format!("{MARKER_PREFIX}refusal:{run}:{attempt} -->")
}

/// The commit status context on the head of our branch.
pub const STATUS_CONTEXT: &str = "codex-k8s/run";

/// The trailer on every commit of a run.
pub const COMMIT_TRAILER: &str = "Codex-Run";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_form_reads_back() {
        for state in RunState::ALL {
            assert_eq!(state.as_str().parse::<RunState>().as_ref(), Ok(state));
        }
        for outcome in Outcome::ALL {
            assert_eq!(outcome.as_str().parse::<Outcome>().as_ref(), Ok(outcome));
        }
        assert!("nonsense".parse::<Step>().is_err());
    }

    #[test]
    fn a_finished_run_is_done_or_failed() {
        assert_eq!(state_label(RunState::Finished, Some(Outcome::PullRequestOpen)), StateLabel::Done);
        assert_eq!(state_label(RunState::Finished, Some(Outcome::Lost)), StateLabel::Failed);
        assert_eq!(state_label(RunState::Finished, None), StateLabel::Failed);
        assert_eq!(state_label(RunState::Waiting, None), StateLabel::Waiting);
    }
}
