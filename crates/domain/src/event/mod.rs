//! A webhook as we read it: the few facts that decide, taken tolerantly from whatever the forge sent.
//!
//! Only a body that is no JSON at all is an error. Everything well-formed gives an [`Event`]; where a fact that its rule
//! needs is missing, the kind is [`EventKind::Other`] with a sentence that says which.

mod actor;
mod by_hand;
mod check;
mod comment;
mod issue;
mod json;
mod pull_request;
mod push;
mod repository;
mod review;
mod scheduled;

use serde_json::value::RawValue;

use self::json::Object;
pub use self::{
    actor::Sender,
    by_hand::HandWish,
    check::Check,
    comment::{Comment, CommentCreated},
    issue::{Issue, IssueLabel},
    pull_request::{PullRequest, PullRequestAction, PullRequestEvent},
    push::Push,
    repository::{Repository, RepositoryAction},
    review::{Review, ReviewState},
    scheduled::ScheduledMoment,
};
use crate::sentences;

/// The events that a hook of ours listens to.
pub const SUBSCRIBED: [&str; 9] = [
    "issues",
    "issue_comment",
    "pull_request",
    "pull_request_review",
    "push",
    "repository",
    "check_suite",
    "workflow_run",
    "status",
];

/// One webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The event's name from the header `X-GitHub-Event`.
    pub name: String,
    /// Its action, where it has one.
    pub action: Option<String>,
    /// The repository it is about.
    pub repository: Option<Repository>,
    /// Who caused it.
    pub sender: Option<Sender>,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A label was put on an issue.
    IssueLabeled(IssueLabel),
    /// A label was taken off an issue.
    IssueUnlabeled(IssueLabel),
    /// An issue was closed.
    IssueClosed(Issue),
    /// Something else happened to an issue.
    IssueOther(Issue),
    /// Somebody wrote a comment on an issue or a pull request.
    CommentCreated(CommentCreated),
    /// Something happened to a pull request.
    PullRequest(PullRequestEvent),
    /// A review was submitted.
    ReviewSubmitted(Review),
    /// A check of a commit has ended.
    CheckEnded(Check),
    /// A branch or tag moved.
    Push(Push),
    /// The repository itself changed.
    Repository(RepositoryAction),
    /// The time of a schedule has come. No webhook is this one.
    Scheduled(ScheduledMoment),
    /// Staff want an agent to run. No webhook is this one.
    ByHand(HandWish),
    /// The forge tries out a hook.
    Ping,
    /// Nothing that a rule reads.
    Other {
        /// Why, where the name and the action alone would have had a kind of their own.
        reason: Option<String>,
    },
}

/// The thing a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    /// Issue or pull request.
    pub kind: SubjectKind,
    /// Its number in the repository.
    pub number: i64,
}

crate::text_enum::text_enum! {
    /// What a run can be about.
    SubjectKind {
        /// An issue.
        Issue = "issue",
        /// A pull request.
        PullRequest = "pull_request",
    }
}

impl SubjectKind {
    /// For people.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Issue => sentences::issue(),
            Self::PullRequest => sentences::pull_request(),
        }
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&match self.kind {
            SubjectKind::Issue => sentences::issue_number(self.number),
            SubjectKind::PullRequest => sentences::pull_request_number(self.number),
        })
    }
}

/// The body is not JSON.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// It is not even text.
    #[error("the body is not UTF-8")]
    NotText(#[source] std::str::Utf8Error),
    /// It is text, but not JSON.
    #[error("the body is not JSON")]
    NotJson(#[source] serde_json::Error),
}

impl Event {
    /// Reads a webhook.
    ///
    /// # Errors
    /// Only if the body is no well-formed JSON.
    pub fn parse(event_name: &str, body: &[u8]) -> Result<Self, EventError> {
        let text = std::str::from_utf8(body).map_err(EventError::NotText)?;
        let raw: &RawValue = serde_json::from_str(text).map_err(EventError::NotJson)?;
        let name = event_name.replace('\0', "\u{fffd}");
        let Some(root) = Object::parse(raw) else {
            let kind = other(sentences::body_no_object());
            return Ok(Self { name, action: None, repository: None, sender: None, kind });
        };
        let action = root.name("action");
        let kind = read_kind(&name, action.as_deref(), &root)
            .unwrap_or_else(|Missing(what)| other(&sentences::fact_missing(what)));
        let repository = Repository::read(&root.object("repository"));
        Ok(Self { name, action, repository, sender: Sender::read(&root.object("sender")), kind })
    }

    /// The issue or pull request that the event names. The end of a check names a commit: whose it is, is looked up.
    #[must_use]
    pub fn subject(&self) -> Option<Subject> {
        let issue = |number| Subject { kind: SubjectKind::Issue, number };
        let pull_request = |number| Subject { kind: SubjectKind::PullRequest, number };
        match &self.kind {
            EventKind::IssueLabeled(event) | EventKind::IssueUnlabeled(event) => Some(issue(event.issue.number)),
            EventKind::IssueClosed(on) | EventKind::IssueOther(on) => Some(issue(on.number)),
            EventKind::CommentCreated(event) => Some(event.subject),
            EventKind::Scheduled(moment) => Some(issue(moment.issue.number)),
            EventKind::ByHand(wish) => Some(wish.subject),
            EventKind::PullRequest(event) => Some(pull_request(event.pull_request.number)),
            EventKind::ReviewSubmitted(review) => Some(pull_request(review.pull_request.number)),
            EventKind::CheckEnded(_)
            | EventKind::Push(_)
            | EventKind::Repository(_)
            | EventKind::Ping
            | EventKind::Other { .. } => None,
        }
    }

    /// Title of the issue or pull request.
    #[must_use]
    pub fn subject_title(&self) -> &str {
        match &self.kind {
            EventKind::IssueLabeled(event) | EventKind::IssueUnlabeled(event) => &event.issue.title,
            EventKind::IssueClosed(issue) | EventKind::IssueOther(issue) => &issue.title,
            EventKind::CommentCreated(event) => &event.title,
            EventKind::Scheduled(moment) => &moment.issue.title,
            EventKind::ByHand(wish) => &wish.title,
            EventKind::PullRequest(event) => &event.pull_request.title,
            EventKind::ReviewSubmitted(review) => &review.pull_request.title,
            EventKind::CheckEnded(_)
            | EventKind::Push(_)
            | EventKind::Repository(_)
            | EventKind::Ping
            | EventKind::Other { .. } => "",
        }
    }
}

/// A fact that the rule of this event can't do without is not in the body.
struct Missing(&'static str);

fn other(reason: &str) -> EventKind {
    EventKind::Other { reason: Some(reason.to_owned()) }
}

fn read_kind(name: &str, action: Option<&str>, root: &Object<'_>) -> Result<EventKind, Missing> {
    match (name, action) {
        ("issues", Some(action)) => issue::read(action, root),
        ("issue_comment", Some("created")) => comment::read(root).map(EventKind::CommentCreated),
        ("issue_comment", Some("edited" | "deleted")) => Ok(other(sentences::only_new_comments())),
        ("pull_request", Some(action)) => pull_request::read(action, root).map(EventKind::PullRequest),
        ("pull_request_review", Some("submitted")) => review::read(root).map(EventKind::ReviewSubmitted),
        ("check_suite", Some("completed")) => check::read_suite(root).map(EventKind::CheckEnded),
        ("workflow_run", Some("completed")) => check::read_workflow_run(root).map(EventKind::CheckEnded),
        ("status", _) => check::read_status(root).map(EventKind::CheckEnded),
        ("push", _) => push::read(root).map(EventKind::Push),
        ("repository", Some(action)) => Ok(EventKind::Repository(RepositoryAction::read(action))),
        ("issues" | "issue_comment" | "pull_request" | "pull_request_review" | "repository", None) => {
            Err(Missing(sentences::its_action()))
        }
        ("ping", _) => Ok(EventKind::Ping),
        _ => Ok(EventKind::Other { reason: None }),
    }
}
