//! The things of a forge, as far as the platform cares.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::Secret;
use crate::ids::{
    AccountId, BranchName, CheckRunId, CommentId, CommitSha, DeliveryNumber, ForgeRepoId, HookNumber, IssueId,
    IssueNumber, PullNumber, ReviewId,
};

/// How a repository is addressed. The number is the identity; owner and name are where it was last seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RepoRef {
    /// The account or organisation.
    pub owner: String,
    /// The name within it.
    pub name: String,
    /// Stays the same when owner or name change.
    pub forge_id: ForgeRepoId,
}

impl fmt::Display for RepoRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// A repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// Where it is now.
    pub repo: RepoRef,
    /// The branch that pull requests go to.
    pub default_branch: String,
    /// Whether outsiders can't see it.
    pub private: bool,
    /// Whether it is read-only for good.
    pub archived: bool,
    /// Where git clones it from.
    pub clone_url: String,
}

/// A person or bot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The name at the moment; can change hands.
    pub login: String,
    /// The identity.
    pub id: AccountId,
}

/// What an account may do in a repository; each includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Nothing, or only what everybody may.
    None,
    /// See it.
    Read,
    /// Sort issues and pull requests.
    Triage,
    /// Push.
    Write,
    /// Push, and settings without danger.
    Maintain,
    /// Everything.
    Admin,
}

impl Permission {
    /// Whether the account may push, which is what commands to us ask for.
    #[must_use]
    pub fn can_write(self) -> bool {
        self >= Self::Write
    }
}

/// Open or closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemState {
    /// Open.
    Open,
    /// Closed; a merged pull request is closed too.
    Closed,
}

/// An issue. Pull requests are issues as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// Over the whole forge.
    pub id: IssueId,
    /// As people see it.
    pub number: IssueNumber,
    /// The title.
    pub title: String,
    /// The text; empty if there is none.
    pub body: String,
    /// Open or closed.
    pub state: ItemState,
    /// Names of its labels.
    pub labels: Vec<String>,
    /// Who opened it; none for a deleted account.
    pub author: Option<Account>,
    /// When anything about it last changed.
    pub updated_at: DateTime<Utc>,
    /// Whether it is a pull request.
    pub is_pull_request: bool,
    /// Its page.
    pub url: String,
}

/// A comment on an issue or pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// Its id.
    pub id: CommentId,
    /// The text.
    pub body: String,
    /// Who wrote it; none for a deleted account.
    pub author: Option<Account>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was last edited.
    pub updated_at: DateTime<Utc>,
    /// Its page.
    pub url: String,
}

/// What to look for among comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommentSearch<'a> {
    /// The text that the comment contains.
    pub marker: &'a str,
    /// Leave out what was last edited before; saves requests on long issues.
    pub since: Option<DateTime<Utc>>,
    /// Only comments of the account whose credential is used: anyone can copy a marker.
    pub author_is_me: bool,
}

/// A pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// As people see it.
    pub number: PullNumber,
    /// The title.
    pub title: String,
    /// The text; empty if there is none.
    pub body: String,
    /// Open or closed.
    pub state: ItemState,
    /// Whether it was merged.
    pub merged: bool,
    /// Whether it is a draft.
    pub draft: bool,
    /// Who opened it; none for a deleted account.
    pub author: Option<Account>,
    /// Names of its labels.
    pub labels: Vec<String>,
    /// Branch it comes from, without the owner.
    pub head_ref: String,
    /// Commit it proposes.
    pub head_sha: CommitSha,
    /// Whether the head lies in another repository, or in one that is gone.
    pub head_is_fork: bool,
    /// Branch it goes to.
    pub base_ref: String,
    /// Commit of that branch.
    pub base_sha: CommitSha,
    /// When anything about it last changed.
    pub updated_at: DateTime<Utc>,
    /// Its page.
    pub url: String,
}

/// A pull request to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPull<'a> {
    /// The title.
    pub title: &'a str,
    /// The text.
    pub body: &'a str,
    /// Branch of the same repository that it comes from.
    pub head: &'a BranchName,
    /// Branch that it goes to.
    pub base: &'a str,
    /// Whether it starts as a draft.
    pub draft: bool,
}

/// What to change on a pull request; nothing else is touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullUpdate<'a> {
    /// A new title.
    pub title: Option<&'a str>,
    /// A new text.
    pub body: Option<&'a str>,
    /// Open or close it.
    pub state: Option<ItemState>,
}

/// A unified diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diff {
    /// The text; what is not UTF-8 was replaced.
    pub text: String,
    /// Whether it was cut at the limit.
    pub truncated: bool,
}

/// A review of a pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Its id.
    pub id: ReviewId,
    /// The text; empty if there is none.
    pub body: String,
    /// Who wrote it; none for a deleted account.
    pub author: Option<Account>,
    /// The commit it is about, if that still exists.
    pub commit: Option<String>,
    /// Its page.
    pub url: String,
}

/// A comment on a line of a pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewComment {
    /// Its id.
    pub id: CommentId,
    /// The review it belongs to.
    pub review: Option<ReviewId>,
    /// The first comment of its thread, if it is not that itself.
    pub in_reply_to: Option<CommentId>,
    /// The file.
    pub path: String,
    /// The line; none once the diff has moved on.
    pub line: Option<u64>,
    /// The text.
    pub body: String,
    /// The lines of the diff that it stands under.
    pub diff_hunk: String,
    /// Who wrote it; none for a deleted account.
    pub author: Option<Account>,
}

/// State of a commit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusState {
    /// Could not be judged.
    Error,
    /// Judged, bad.
    Failure,
    /// Under way.
    Pending,
    /// Judged, good.
    Success,
}

/// A commit status to set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewStatus<'a> {
    /// The state.
    pub state: StatusState,
    /// What it is about; a later status of the same context takes its place.
    pub context: &'a str,
    /// For people; cut at 140 characters, the forge's limit.
    pub description: &'a str,
    /// The page behind it.
    pub target_url: Option<&'a str>,
}

/// A commit status as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitStatus {
    /// What it is about.
    pub context: String,
    /// The state.
    pub state: StatusState,
    /// For people.
    pub description: String,
    /// The page behind it.
    pub target_url: Option<String>,
    /// When it was set.
    pub created_at: DateTime<Utc>,
}

/// A check run that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedCheck {
    /// Its number.
    pub id: CheckRunId,
    /// Its name.
    pub name: String,
    /// What it says in a line; may be empty.
    pub title: String,
    /// What it says at length; may be empty.
    pub summary: String,
    /// How many things it says about lines.
    pub annotations: u64,
    /// The page behind it.
    pub url: Option<String>,
    /// The job of the workflow that it is, if it is one: that has a log.
    pub job: Option<CheckRunId>,
}

/// What a check run says about a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// The file.
    pub path: String,
    /// The first line that it is about.
    pub line: u64,
    /// How bad it is, in the forge's word; may be empty.
    pub level: String,
    /// In a line; may be empty.
    pub title: String,
    /// At length; may be empty.
    pub message: String,
}

/// An attempt to deliver an event, as the hook's log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookDelivery {
    /// The attempt.
    pub number: DeliveryNumber,
    /// What the receiver knows the event by; the same for a redelivery.
    pub guid: String,
    /// Name of the event.
    pub event: String,
    /// When the attempt ended.
    pub delivered_at: DateTime<Utc>,
    /// What the receiver answered, or what the forge notes where there was no answer.
    pub status: u16,
}

/// Which page of a hook's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogPage<'a> {
    /// The newest; only if it has changed since the one with this entity tag.
    Newest {
        /// The tag, if one is known.
        unless: Option<&'a str>,
    },
    /// The one after another.
    After(&'a str),
}

/// A page of a hook's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookLog {
    /// The newest page is still the one that is known.
    Unchanged,
    /// Its deliveries, newest first.
    Page {
        /// The deliveries.
        deliveries: Vec<HookDelivery>,
        /// What the page can be asked for again by, if it is the newest.
        etag: Option<String>,
        /// What the next page is asked for by; none after the last.
        next: Option<String>,
    },
}

/// A webhook of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Its id.
    pub id: HookNumber,
    /// Where it delivers to.
    pub url: String,
    /// Whether it delivers.
    pub active: bool,
    /// What it tells of.
    pub events: Vec<String>,
}

/// A webhook as it should be.
#[derive(Clone, Debug)]
pub struct HookSpec<'a> {
    /// Where it delivers to.
    pub url: &'a str,
    /// What signs its deliveries; none leaves address and secret as they are.
    pub secret: Option<&'a Secret>,
    /// Whether it delivers.
    pub active: bool,
    /// What it tells of.
    pub events: &'a [&'a str],
}
