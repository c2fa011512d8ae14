//! What we are about to write on the forge, named so that its echo is known again.
//!
//! Before a write, its intent is stored under a kind and a key; a webhook yields the same pair by [`probes`], whether it
//! arrives before or after the forge's answer to the write.

use crate::{
    event::{Event, EventKind, PullRequestAction},
    text_enum::text_enum,
};

text_enum! {
    /// Kinds of writes.
    IntentKind {
        /// A comment; the echo is known by the marker and by the comment's id.
        Comment = "comment",
        /// A label put on or taken off.
        Label = "label",
        /// A push of a branch.
        Push = "push",
        /// A pull request opened or changed.
        PullRequest = "pull_request",
        /// A review.
        Review = "review",
        /// A commit status.
        Status = "status",
        /// An issue opened.
        Issue = "issue",
    }
}

/// One stored intent that would make an event the echo of our own write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Kind of the write.
    pub kind: IntentKind,
    /// Its key, if the event shows one.
    pub key: Option<String>,
    /// The id that the forge gave to what was written, if the event shows one.
    pub forge_id: Option<i64>,
}

/// Key of putting a label on (`added`) or taking it off an issue or pull request.
#[must_use]
pub fn label_key(number: i64, label: &str, added: bool) -> String {
    let sign = if added { '+' } else { '-' };
    format!("{number}{sign}{label}")
}

/// Key of pushing a commit to a branch, given by name.
#[must_use]
pub fn push_key(branch: &str, sha: &str) -> String {
    format!("{branch}@{sha}")
}

/// Key of opening or changing the pull request of a branch.
#[must_use]
pub fn pull_request_key(branch: &str) -> String {
    branch.to_owned()
}

/// Key of opening an issue. Nothing else about it is known before it is there.
#[must_use]
pub fn issue_key(title: &str) -> String {
    title.to_owned()
}

/// The intents, any one of which makes this event an echo. Empty if it can't be one.
#[must_use]
pub fn probes(event: &Event) -> Vec<Probe> {
    let by_key = |kind, key| Probe { kind, key: Some(key), forge_id: None };
    let by_id = |kind, id| Probe { kind, key: None, forge_id: Some(id) };
    match &event.kind {
        EventKind::IssueLabeled(on) => {
            vec![by_key(IntentKind::Label, label_key(on.issue.number, &on.label, true))]
        }
        EventKind::IssueUnlabeled(on) => {
            vec![by_key(IntentKind::Label, label_key(on.issue.number, &on.label, false))]
        }
        EventKind::CommentCreated(event) => vec![by_id(IntentKind::Comment, event.comment.id)],
        EventKind::ReviewSubmitted(review) => vec![by_id(IntentKind::Review, review.id)],
        EventKind::Push(push) => {
            push.branch().map(|branch| by_key(IntentKind::Push, push_key(branch, &push.after))).into_iter().collect()
        }
        EventKind::PullRequest(event) => pull_request_probes(&event.action, &event.pull_request),
        EventKind::IssueOther(issue) if event.action.as_deref() == Some("opened") => {
            vec![by_key(IntentKind::Issue, issue_key(&issue.title))]
        }
        EventKind::IssueClosed(_)
        | EventKind::IssueOther(_)
        | EventKind::CheckEnded(_)
        | EventKind::Scheduled(_)
        | EventKind::ByHand(_)
        | EventKind::Repository(_)
        | EventKind::Ping
        | EventKind::Other { .. } => Vec::new(),
    }
}

fn pull_request_probes(action: &PullRequestAction, on: &crate::event::PullRequest) -> Vec<Probe> {
    let probe = |kind, key| Probe { kind, key: Some(key), forge_id: None };
    match action {
        PullRequestAction::Labeled(label) => vec![probe(IntentKind::Label, label_key(on.number, label, true))],
        PullRequestAction::Unlabeled(label) => vec![probe(IntentKind::Label, label_key(on.number, label, false))],
        // A fork may have a branch of the same name: only ours is an echo.
        _ if on.from_fork => Vec::new(),
        PullRequestAction::Synchronize => match (&on.head_ref, &on.head_sha) {
            (Some(branch), Some(sha)) => vec![probe(IntentKind::Push, push_key(branch, sha))],
            _ => Vec::new(),
        },
        PullRequestAction::Opened | PullRequestAction::Other(_) => {
            on.head_ref.iter().map(|branch| probe(IntentKind::PullRequest, pull_request_key(branch))).collect()
        }
        PullRequestAction::Reopened | PullRequestAction::ReadyForReview | PullRequestAction::Closed { .. } => {
            Vec::new()
        }
    }
}
