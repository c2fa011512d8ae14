//! Events of pull requests.

use chrono::{DateTime, Utc};

use super::{
    Missing,
    issue::{label_names, read_label},
    json::Object,
};
use crate::sentences;

/// A pull request as a webhook shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number in the repository.
    pub number: i64,
    /// Its title.
    pub title: String,
    /// Names of the labels on it after the event.
    pub labels: Vec<String>,
    /// Whether it is open.
    pub open: bool,
    /// Whether it is a draft.
    pub draft: bool,
    /// Branch that is to be merged.
    pub head_ref: Option<String>,
    /// Commit at its head.
    pub head_sha: Option<String>,
    /// Whether the head lies in another repository. True also if that one is gone: its code is foreign either way.
    pub from_fork: bool,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullRequestAction {
    /// A label was put on it.
    Labeled(String),
    /// A label was taken off.
    Unlabeled(String),
    /// It was opened.
    Opened,
    /// It was opened again.
    Reopened,
    /// Its head moved.
    Synchronize,
    /// It is no draft any more.
    ReadyForReview,
    /// It was closed.
    Closed {
        /// By merging.
        merged: bool,
    },
    /// Anything else, in the forge's word.
    Other(String),
}

/// Something happened to a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequestEvent {
    /// What.
    pub action: PullRequestAction,
    /// To which.
    pub pull_request: PullRequest,
}

pub(super) fn read(action: &str, root: &Object<'_>) -> Result<PullRequestEvent, Missing> {
    let object = root.object("pull_request");
    let action = match action {
        "labeled" => PullRequestAction::Labeled(read_label(root)?),
        "unlabeled" => PullRequestAction::Unlabeled(read_label(root)?),
        "opened" => PullRequestAction::Opened,
        "reopened" => PullRequestAction::Reopened,
        "synchronize" => PullRequestAction::Synchronize,
        "ready_for_review" => PullRequestAction::ReadyForReview,
        "closed" => PullRequestAction::Closed { merged: object.flag("merged").unwrap_or(false) },
        other => PullRequestAction::Other(other.to_owned()),
    };
    Ok(PullRequestEvent { action, pull_request: read_pull_request(&object)? })
}

pub(super) fn read_pull_request(object: &Object<'_>) -> Result<PullRequest, Missing> {
    let head = object.object("head");
    let head_repository = head.object("repo").id("id");
    let base_repository = object.object("base").object("repo").id("id");
    Ok(PullRequest {
        number: object.id("number").ok_or(Missing(sentences::number_of_pull_request()))?,
        title: object.text("title").unwrap_or_default(),
        labels: label_names(object),
        open: object.name("state").is_none_or(|state| state == "open"),
        draft: object.flag("draft").unwrap_or(false),
        head_ref: head.name("ref"),
        head_sha: head.name("sha"),
        from_fork: head_repository.is_none() || head_repository != base_repository,
        updated_at: object.time("updated_at").ok_or(Missing(sentences::when_pull_request_changed()))?,
    })
}
