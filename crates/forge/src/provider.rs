//! What the platform asks of a forge.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::rights::RightCheck;

use crate::{
    Secret,
    error::ForgeError,
    ids::{
        CheckRunId, CommentId, CommitSha, DeliveryNumber, ForgeRepoId, HookNumber, IssueNumber, PullNumber, ReviewId,
    },
    labels::LabelStyle,
    model::{
        Account, Annotation, Comment, CommentSearch, CommitStatus, Diff, FailedCheck, Hook, HookLog, HookSpec, Issue,
        LogPage, NewPull, NewStatus, Permission, Pull, PullUpdate, RepoRef, Repository, Review, ReviewComment,
    },
};

/// A forge, seen through one credential.
///
/// Nothing is retried in here: reads may be repeated freely, a write only after a look whether it was stored. A renamed or moved
/// repository is followed; what it is called now is told by [`RepositoryProvider::renamed`].
#[async_trait]
pub trait RepositoryProvider: Send + Sync {
    /// The account whose credential is used.
    async fn me(&self) -> Result<Account, ForgeError>;

    /// A token for git over HTTP, good for a few minutes at least.
    async fn git_token(&self) -> Result<Secret, ForgeError>;

    /// When the credential ends, as far as an answer has told. Asks nobody.
    fn credential_expires_at(&self) -> Option<DateTime<Utc>>;

    /// What the credential may do in a repository, right by right. Changes nothing there.
    async fn rights(&self, repo: &RepoRef) -> Result<Vec<RightCheck>, ForgeError>;

    /// A repository by owner and name, as people write it.
    async fn repository_by_name(&self, owner: &str, name: &str) -> Result<Repository, ForgeError>;

    /// A repository by its number, whatever it is called now.
    async fn repository(&self, id: ForgeRepoId) -> Result<Repository, ForgeError>;

    /// Where the repository is now, if a request showed that it is no longer where `repo` says. Asks nobody.
    fn renamed(&self, repo: &RepoRef) -> Option<RepoRef>;

    /// What `who` may do. An account that the forge does not know under this login *and* number may do nothing.
    async fn permission(&self, repo: &RepoRef, who: &Account) -> Result<Permission, ForgeError>;

    /// One issue or pull request.
    async fn issue(&self, repo: &RepoRef, number: IssueNumber) -> Result<Issue, ForgeError>;

    /// The oldest open issue of ours that contains `marker`.
    async fn find_issue(&self, repo: &RepoRef, marker: &str) -> Result<Option<Issue>, ForgeError>;

    /// Opens an issue.
    async fn create_issue(&self, repo: &RepoRef, title: &str, body: &str) -> Result<Issue, ForgeError>;

    /// Comments, oldest first, at most `limit`; with `since` only those edited at or after it.
    async fn issue_comments(
        &self,
        repo: &RepoRef,
        number: IssueNumber,
        since: Option<DateTime<Utc>>,
        limit: usize,
    ) -> Result<Vec<Comment>, ForgeError>;

    /// The oldest comment that fits.
    async fn find_comment(
        &self,
        repo: &RepoRef,
        number: IssueNumber,
        search: CommentSearch<'_>,
    ) -> Result<Option<Comment>, ForgeError>;

    /// Writes a comment.
    async fn create_comment(&self, repo: &RepoRef, number: IssueNumber, body: &str) -> Result<Comment, ForgeError>;

    /// Replaces the text of a comment; [`ForgeError::NotFound`] if somebody deleted it.
    async fn update_comment(&self, repo: &RepoRef, id: CommentId, body: &str) -> Result<Comment, ForgeError>;

    /// Names of the labels on an issue or pull request.
    async fn labels(&self, repo: &RepoRef, number: IssueNumber) -> Result<Vec<String>, ForgeError>;

    /// Puts a label on; the repository gets it, with this look, if it lacks it.
    async fn add_label(
        &self,
        repo: &RepoRef,
        number: IssueNumber,
        label: &str,
        style: LabelStyle,
    ) -> Result<(), ForgeError>;

    /// Takes a label off; fine if it is not there.
    async fn remove_label(&self, repo: &RepoRef, number: IssueNumber, label: &str) -> Result<(), ForgeError>;

    /// The open pull request from this branch of the repository itself.
    async fn pull_by_head(&self, repo: &RepoRef, branch: &str) -> Result<Option<Pull>, ForgeError>;

    /// Opens a pull request.
    async fn create_pull(&self, repo: &RepoRef, pull: &NewPull<'_>) -> Result<Pull, ForgeError>;

    /// Changes a pull request.
    async fn update_pull(
        &self,
        repo: &RepoRef,
        number: PullNumber,
        update: &PullUpdate<'_>,
    ) -> Result<Pull, ForgeError>;

    /// One pull request.
    async fn pull(&self, repo: &RepoRef, number: PullNumber) -> Result<Pull, ForgeError>;

    /// Its diff, at most `max_bytes` of it.
    async fn pull_diff(&self, repo: &RepoRef, number: PullNumber, max_bytes: usize) -> Result<Diff, ForgeError>;

    /// Posts a review that neither approves nor refuses, about this commit.
    async fn create_review(
        &self,
        repo: &RepoRef,
        number: PullNumber,
        commit: &CommitSha,
        body: &str,
    ) -> Result<Review, ForgeError>;

    /// The oldest review of ours that contains `marker`.
    async fn find_review(&self, repo: &RepoRef, number: PullNumber, marker: &str)
    -> Result<Option<Review>, ForgeError>;

    /// One review.
    async fn review(&self, repo: &RepoRef, number: PullNumber, id: ReviewId) -> Result<Review, ForgeError>;

    /// Every comment on a line of a pull request, oldest first.
    async fn review_comments(&self, repo: &RepoRef, number: PullNumber) -> Result<Vec<ReviewComment>, ForgeError>;

    /// Answers in the thread that a comment on a line began.
    async fn reply_to_review_comment(
        &self,
        repo: &RepoRef,
        number: PullNumber,
        comment: CommentId,
        body: &str,
    ) -> Result<ReviewComment, ForgeError>;

    /// Sets a commit status.
    async fn set_status(&self, repo: &RepoRef, sha: &CommitSha, status: &NewStatus<'_>) -> Result<(), ForgeError>;

    /// The latest status of each context.
    async fn statuses(&self, repo: &RepoRef, sha: &CommitSha) -> Result<Vec<CommitStatus>, ForgeError>;

    /// The newest check runs of a commit that failed; [`ForgeError::Forbidden`] if the credential does not see check runs.
    async fn failed_checks(&self, repo: &RepoRef, sha: &CommitSha) -> Result<Vec<FailedCheck>, ForgeError>;

    /// What a check run says about lines, at most `limit` of it.
    async fn annotations(&self, repo: &RepoRef, check: CheckRunId, limit: usize)
    -> Result<Vec<Annotation>, ForgeError>;

    /// The last `max_bytes` of the log of a workflow's job.
    async fn job_log(&self, repo: &RepoRef, job: CheckRunId, max_bytes: usize) -> Result<String, ForgeError>;

    /// A file at a branch, tag or commit; none if there is no such file.
    async fn file(&self, repo: &RepoRef, path: &str, reference: &str) -> Result<Option<Vec<u8>>, ForgeError>;

    /// A page of the log of what a hook sent, newest first.
    async fn hook_log(&self, repo: &RepoRef, hook: HookNumber, page: LogPage<'_>) -> Result<HookLog, ForgeError>;

    /// The event that a delivery carried, as JSON. It is parsed and written anew by the forge, so that no signature fits it.
    async fn delivered_event(
        &self,
        repo: &RepoRef,
        hook: HookNumber,
        delivery: DeliveryNumber,
    ) -> Result<Vec<u8>, ForgeError>;

    /// The webhooks of the repository.
    async fn hooks(&self, repo: &RepoRef) -> Result<Vec<Hook>, ForgeError>;

    /// Makes a webhook.
    async fn create_hook(&self, repo: &RepoRef, spec: &HookSpec<'_>) -> Result<Hook, ForgeError>;

    /// Changes a webhook.
    async fn update_hook(&self, repo: &RepoRef, id: HookNumber, spec: &HookSpec<'_>) -> Result<Hook, ForgeError>;

    /// Takes a webhook away. One that is not there is away.
    async fn delete_hook(&self, repo: &RepoRef, id: HookNumber) -> Result<(), ForgeError>;

    /// Has the forge send a sign of life to a webhook's address.
    async fn ping_hook(&self, repo: &RepoRef, id: HookNumber) -> Result<(), ForgeError>;
}
