//! GitHub's answers, as far as we use them: whatever can be missing or null may be.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};

use crate::{
    ForgeError,
    ids::{AccountId, CommentId, CommitSha, ForgeRepoId, HookNumber, IssueId, IssueNumber, PullNumber, ReviewId},
    model::{
        Account, Comment, CommitStatus, Hook, Issue, ItemState, Pull, RepoRef, Repository, Review, ReviewComment,
        StatusState,
    },
};

/// `null` and missing are both the default.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[derive(Deserialize)]
pub(super) struct WireAccount {
    login: String,
    id: i64,
}

/// A GitHub App.
#[derive(Deserialize)]
pub(super) struct WireApp {
    pub(super) slug: String,
}

/// An App's installation.
#[derive(Deserialize)]
pub(super) struct WireInstallation {
    pub(super) id: u64,
    /// Permission and level, in GitHub's words.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) permissions: BTreeMap<String, String>,
}

/// A token minted for an installation. Of no known length: GitHub has changed that before.
#[derive(Deserialize)]
pub(super) struct WireInstallationToken {
    pub(super) token: String,
    pub(super) expires_at: DateTime<Utc>,
}

/// The roles of the account that asks.
#[derive(Deserialize)]
pub(super) struct WireOwnRoles {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) permissions: WireRoles,
}

#[derive(Clone, Copy, Default, Deserialize)]
pub(super) struct WireRoles {
    #[serde(default)]
    pub(super) admin: bool,
    #[serde(default)]
    pub(super) push: bool,
}

#[derive(Deserialize)]
pub(super) struct WireHook {
    id: i64,
    #[serde(default, deserialize_with = "or_default")]
    active: bool,
    #[serde(default, deserialize_with = "or_default")]
    events: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    config: WireHookConfig,
}

#[derive(Default, Deserialize)]
struct WireHookConfig {
    #[serde(default, deserialize_with = "or_default")]
    url: String,
}

impl From<WireHook> for Hook {
    fn from(wire: WireHook) -> Self {
        Self { id: HookNumber(wire.id), url: wire.config.url, active: wire.active, events: wire.events }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum WireLabel {
    Object { name: Option<String> },
    Name(String),
}

#[derive(Deserialize)]
pub(super) struct WireIssue {
    id: i64,
    number: i64,
    title: String,
    #[serde(default, deserialize_with = "or_default")]
    body: String,
    state: String,
    #[serde(default, deserialize_with = "or_default")]
    labels: Vec<WireLabel>,
    user: Option<WireAccount>,
    updated_at: DateTime<Utc>,
    pull_request: Option<serde_json::Value>,
    #[serde(default, deserialize_with = "or_default")]
    html_url: String,
}

#[derive(Deserialize)]
pub(super) struct WireComment {
    id: i64,
    #[serde(default, deserialize_with = "or_default")]
    body: String,
    user: Option<WireAccount>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    #[serde(default, deserialize_with = "or_default")]
    html_url: String,
}

#[derive(Deserialize)]
struct WireRepoId {
    id: i64,
}

#[derive(Deserialize)]
struct WireBranch {
    #[serde(rename = "ref")]
    reference: String,
    sha: String,
    repo: Option<WireRepoId>,
}

#[derive(Deserialize)]
pub(super) struct WirePull {
    number: i64,
    title: String,
    #[serde(default, deserialize_with = "or_default")]
    body: String,
    state: String,
    /// Only in the answer about a single pull request; lists have the time alone.
    merged: Option<bool>,
    merged_at: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "or_default")]
    draft: bool,
    user: Option<WireAccount>,
    #[serde(default, deserialize_with = "or_default")]
    labels: Vec<WireLabel>,
    head: WireBranch,
    base: WireBranch,
    updated_at: DateTime<Utc>,
    #[serde(default, deserialize_with = "or_default")]
    html_url: String,
}

#[derive(Deserialize)]
pub(super) struct WireReview {
    id: i64,
    #[serde(default, deserialize_with = "or_default")]
    body: String,
    user: Option<WireAccount>,
    commit_id: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    html_url: String,
}

#[derive(Deserialize)]
pub(super) struct WireStatus {
    context: String,
    state: String,
    #[serde(default, deserialize_with = "or_default")]
    description: String,
    target_url: Option<String>,
    created_at: DateTime<Utc>,
}

#[derive(Deserialize)]
pub(super) struct WireRepository {
    id: i64,
    name: String,
    owner: WireAccount,
    #[serde(default, deserialize_with = "or_default")]
    default_branch: String,
    #[serde(default, deserialize_with = "or_default")]
    private: bool,
    #[serde(default, deserialize_with = "or_default")]
    archived: bool,
    #[serde(default, deserialize_with = "or_default")]
    clone_url: String,
}

#[derive(Deserialize)]
pub(super) struct WirePermission {
    pub(super) permission: String,
    pub(super) role_name: Option<String>,
    pub(super) user: Option<WireAccount>,
}

/// A file, a folder's list, a link or a submodule; only the first has `type: file`.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum WireContent {
    Entry {
        #[serde(rename = "type")]
        kind: String,
        encoding: Option<String>,
        content: Option<String>,
    },
    Folder(serde::de::IgnoredAny),
}

impl From<WireAccount> for Account {
    fn from(wire: WireAccount) -> Self {
        Self { login: wire.login, id: AccountId(wire.id) }
    }
}

pub(super) fn label_names(labels: Vec<WireLabel>) -> Vec<String> {
    let name = |label| match label {
        WireLabel::Object { name } => name,
        WireLabel::Name(name) => Some(name),
    };
    labels.into_iter().filter_map(name).collect()
}

fn item_state(text: &str) -> ItemState {
    if text == "open" { ItemState::Open } else { ItemState::Closed }
}

impl From<WireIssue> for Issue {
    fn from(wire: WireIssue) -> Self {
        Self {
            id: IssueId(wire.id),
            number: IssueNumber(wire.number),
            title: wire.title,
            body: wire.body,
            state: item_state(&wire.state),
            labels: label_names(wire.labels),
            author: wire.user.map(Account::from),
            updated_at: wire.updated_at,
            is_pull_request: wire.pull_request.is_some(),
            url: wire.html_url,
        }
    }
}

impl From<WireComment> for Comment {
    fn from(wire: WireComment) -> Self {
        Self {
            id: CommentId(wire.id),
            body: wire.body,
            author: wire.user.map(Account::from),
            created_at: wire.created_at,
            updated_at: wire.updated_at,
            url: wire.html_url,
        }
    }
}

fn sha(text: &str) -> Result<CommitSha, ForgeError> {
    text.parse()
        .map_err(|error| ForgeError::Unexpected { detail: format!("the answer does not have the known form: {error}") })
}

impl TryFrom<WirePull> for Pull {
    type Error = ForgeError;

    fn try_from(wire: WirePull) -> Result<Self, ForgeError> {
        let own = |branch: &WireBranch| branch.repo.as_ref().map(|repo| repo.id);
        Ok(Self {
            number: PullNumber(wire.number),
            title: wire.title,
            body: wire.body,
            state: item_state(&wire.state),
            merged: wire.merged.unwrap_or(wire.merged_at.is_some()),
            draft: wire.draft,
            author: wire.user.map(Account::from),
            labels: label_names(wire.labels),
            head_is_fork: own(&wire.head).is_none() || own(&wire.head) != own(&wire.base),
            head_sha: sha(&wire.head.sha)?,
            head_ref: wire.head.reference,
            base_sha: sha(&wire.base.sha)?,
            base_ref: wire.base.reference,
            updated_at: wire.updated_at,
            url: wire.html_url,
        })
    }
}

impl WirePull {
    pub(super) fn head_branch(&self) -> &str {
        &self.head.reference
    }
}

#[derive(Deserialize)]
pub(super) struct WireReviewComment {
    id: i64,
    pull_request_review_id: Option<i64>,
    in_reply_to_id: Option<i64>,
    #[serde(default, deserialize_with = "or_default")]
    path: String,
    line: Option<u64>,
    original_line: Option<u64>,
    #[serde(default, deserialize_with = "or_default")]
    body: String,
    #[serde(default, deserialize_with = "or_default")]
    diff_hunk: String,
    user: Option<WireAccount>,
}

impl From<WireReviewComment> for ReviewComment {
    fn from(wire: WireReviewComment) -> Self {
        Self {
            id: CommentId(wire.id),
            review: wire.pull_request_review_id.map(ReviewId),
            in_reply_to: wire.in_reply_to_id.map(CommentId),
            path: wire.path,
            line: wire.line.or(wire.original_line),
            body: wire.body,
            diff_hunk: wire.diff_hunk,
            author: wire.user.map(Account::from),
        }
    }
}

impl From<WireReview> for Review {
    fn from(wire: WireReview) -> Self {
        Self {
            id: ReviewId(wire.id),
            body: wire.body,
            author: wire.user.map(Account::from),
            commit: wire.commit_id,
            url: wire.html_url,
        }
    }
}

impl From<WireStatus> for CommitStatus {
    fn from(wire: WireStatus) -> Self {
        let state = match wire.state.as_str() {
            "success" => StatusState::Success,
            "failure" => StatusState::Failure,
            "pending" => StatusState::Pending,
            _ => StatusState::Error,
        };
        Self {
            context: wire.context,
            state,
            description: wire.description,
            target_url: wire.target_url,
            created_at: wire.created_at,
        }
    }
}

impl From<WireRepository> for Repository {
    fn from(wire: WireRepository) -> Self {
        Self {
            repo: RepoRef { owner: wire.owner.login, name: wire.name, forge_id: ForgeRepoId(wire.id) },
            default_branch: wire.default_branch,
            private: wire.private,
            archived: wire.archived,
            clone_url: wire.clone_url,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_issue_needs_little() {
        let wire = json!({"id": 1, "number": 7, "title": "t", "body": null, "state": "open", "user": null,
            "labels": ["a", {"name": "b", "color": "x"}, {"name": null}], "updated_at": "2026-01-01T00:00:00Z", "new": {}});
        let issue = Issue::from(serde_json::from_value::<WireIssue>(wire).unwrap());
        assert_eq!(issue.labels, ["a", "b"]);
        assert_eq!((issue.body.as_str(), issue.author, issue.is_pull_request), ("", None, false));
    }

    #[test]
    fn a_pull_request_from_a_vanished_repository_counts_as_fork() {
        let sha = "0123456789abcdef0123456789abcdef01234567";
        let pull = |head_repo: serde_json::Value| {
            let wire = json!({"number": 7, "title": "t", "state": "closed", "merged_at": "2026-01-01T00:00:00Z",
                "head": {"ref": "h", "sha": sha, "repo": head_repo}, "base": {"ref": "main", "sha": sha, "repo": {"id": 5}},
                "updated_at": "2026-01-01T00:00:00Z"});
            Pull::try_from(serde_json::from_value::<WirePull>(wire).unwrap()).unwrap()
        };
        assert!(pull(json!(null)).head_is_fork);
        assert!(pull(json!({"id": 6})).head_is_fork);
        assert!(!pull(json!({"id": 5})).head_is_fork);
        assert!(pull(json!(null)).merged);
    }
}
