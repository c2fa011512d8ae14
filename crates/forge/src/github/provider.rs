//! The adapter as the platform sees it.

use std::sync::PoisonError;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::rights::RightCheck;

use super::GitHub;
use crate::{
    ForgeError, RepositoryProvider, Secret,
    ids::{
        CheckRunId, CommentId, CommitSha, DeliveryNumber, ForgeRepoId, HookNumber, IssueNumber, PullNumber, ReviewId,
    },
    labels::LabelStyle,
    model::{
        Account, Annotation, Comment, CommentSearch, CommitStatus, Diff, FailedCheck, Hook, HookLog, HookSpec, Issue,
        LogPage, NewPull, NewStatus, Permission, Pull, PullUpdate, RepoRef, Repository, Review, ReviewComment,
    },
};

#[async_trait]
impl RepositoryProvider for GitHub {
    async fn me(&self) -> Result<Account, ForgeError> {
        self.account().await
    }

    async fn git_token(&self) -> Result<Secret, ForgeError> {
        self.tokens.current(&self.transport).await
    }

    fn credential_expires_at(&self) -> Option<DateTime<Utc>> {
        *self.expires_at.read().unwrap_or_else(PoisonError::into_inner)
    }

    async fn rights(&self, repo: &RepoRef) -> Result<Vec<RightCheck>, ForgeError> {
        self.check_rights(repo).await
    }

    async fn repository_by_name(&self, owner: &str, name: &str) -> Result<Repository, ForgeError> {
        self.read_repository(owner, name).await
    }

    async fn repository(&self, id: ForgeRepoId) -> Result<Repository, ForgeError> {
        self.repository_by_id(id).await
    }

    fn renamed(&self, repo: &RepoRef) -> Option<RepoRef> {
        Some(self.current(repo)).filter(|now| now != repo)
    }

    async fn permission(&self, repo: &RepoRef, who: &Account) -> Result<Permission, ForgeError> {
        self.read_permission(repo, who).await
    }

    async fn issue(&self, repo: &RepoRef, number: IssueNumber) -> Result<Issue, ForgeError> {
        self.read_issue(repo, number).await
    }

    async fn find_issue(&self, repo: &RepoRef, marker: &str) -> Result<Option<Issue>, ForgeError> {
        self.search_issues(repo, marker).await
    }

    async fn create_issue(&self, repo: &RepoRef, title: &str, body: &str) -> Result<Issue, ForgeError> {
        self.post_issue(repo, title, body).await
    }

    async fn issue_comments(
        &self,
        repo: &RepoRef,
        number: IssueNumber,
        since: Option<DateTime<Utc>>,
        limit: usize,
    ) -> Result<Vec<Comment>, ForgeError> {
        self.list_comments(repo, number, since, limit).await
    }

    async fn find_comment(
        &self,
        repo: &RepoRef,
        number: IssueNumber,
        search: CommentSearch<'_>,
    ) -> Result<Option<Comment>, ForgeError> {
        self.search_comments(repo, number, search).await
    }

    async fn create_comment(&self, repo: &RepoRef, number: IssueNumber, body: &str) -> Result<Comment, ForgeError> {
        self.post_comment(repo, number, body).await
    }

    async fn update_comment(&self, repo: &RepoRef, id: CommentId, body: &str) -> Result<Comment, ForgeError> {
        self.edit_comment(repo, id, body).await
    }

    async fn labels(&self, repo: &RepoRef, number: IssueNumber) -> Result<Vec<String>, ForgeError> {
        self.read_labels(repo, number).await
    }

    async fn add_label(
        &self,
        repo: &RepoRef,
        number: IssueNumber,
        label: &str,
        style: LabelStyle,
    ) -> Result<(), ForgeError> {
        self.put_label(repo, number, label, style).await
    }

    async fn remove_label(&self, repo: &RepoRef, number: IssueNumber, label: &str) -> Result<(), ForgeError> {
        self.drop_label(repo, number, label).await
    }

    async fn pull_by_head(&self, repo: &RepoRef, branch: &str) -> Result<Option<Pull>, ForgeError> {
        self.open_pull_of(repo, branch).await
    }

    async fn create_pull(&self, repo: &RepoRef, pull: &NewPull<'_>) -> Result<Pull, ForgeError> {
        self.post_pull(repo, pull).await
    }

    async fn update_pull(
        &self,
        repo: &RepoRef,
        number: PullNumber,
        update: &PullUpdate<'_>,
    ) -> Result<Pull, ForgeError> {
        self.edit_pull(repo, number, update).await
    }

    async fn pull(&self, repo: &RepoRef, number: PullNumber) -> Result<Pull, ForgeError> {
        self.read_pull(repo, number).await
    }

    async fn pull_diff(&self, repo: &RepoRef, number: PullNumber, max_bytes: usize) -> Result<Diff, ForgeError> {
        self.read_diff(repo, number, max_bytes).await
    }

    async fn create_review(
        &self,
        repo: &RepoRef,
        number: PullNumber,
        commit: &CommitSha,
        body: &str,
    ) -> Result<Review, ForgeError> {
        self.post_review(repo, number, commit, body).await
    }

    async fn find_review(
        &self,
        repo: &RepoRef,
        number: PullNumber,
        marker: &str,
    ) -> Result<Option<Review>, ForgeError> {
        self.search_reviews(repo, number, marker).await
    }

    async fn review(&self, repo: &RepoRef, number: PullNumber, id: ReviewId) -> Result<Review, ForgeError> {
        self.read_review(repo, number, id).await
    }

    async fn review_comments(&self, repo: &RepoRef, number: PullNumber) -> Result<Vec<ReviewComment>, ForgeError> {
        self.list_line_comments(repo, number).await
    }

    async fn reply_to_review_comment(
        &self,
        repo: &RepoRef,
        number: PullNumber,
        comment: CommentId,
        body: &str,
    ) -> Result<ReviewComment, ForgeError> {
        self.post_reply(repo, number, comment, body).await
    }

    async fn set_status(&self, repo: &RepoRef, sha: &CommitSha, status: &NewStatus<'_>) -> Result<(), ForgeError> {
        self.post_status(repo, sha, status).await
    }

    async fn statuses(&self, repo: &RepoRef, sha: &CommitSha) -> Result<Vec<CommitStatus>, ForgeError> {
        self.read_statuses(repo, sha).await
    }

    async fn failed_checks(&self, repo: &RepoRef, sha: &CommitSha) -> Result<Vec<FailedCheck>, ForgeError> {
        self.read_failed_checks(repo, sha).await
    }

    async fn annotations(
        &self,
        repo: &RepoRef,
        check: CheckRunId,
        limit: usize,
    ) -> Result<Vec<Annotation>, ForgeError> {
        self.read_annotations(repo, check, limit).await
    }

    async fn job_log(&self, repo: &RepoRef, job: CheckRunId, max_bytes: usize) -> Result<String, ForgeError> {
        self.read_job_log(repo, job, max_bytes).await
    }

    async fn file(&self, repo: &RepoRef, path: &str, reference: &str) -> Result<Option<Vec<u8>>, ForgeError> {
        self.read_file(repo, path, reference).await
    }

    async fn hook_log(&self, repo: &RepoRef, hook: HookNumber, page: LogPage<'_>) -> Result<HookLog, ForgeError> {
        self.read_hook_log(repo, hook, page).await
    }

    async fn delivered_event(
        &self,
        repo: &RepoRef,
        hook: HookNumber,
        delivery: DeliveryNumber,
    ) -> Result<Vec<u8>, ForgeError> {
        self.read_delivery(repo, hook, delivery).await
    }

    async fn hooks(&self, repo: &RepoRef) -> Result<Vec<Hook>, ForgeError> {
        self.list_hooks(repo).await
    }

    async fn create_hook(&self, repo: &RepoRef, spec: &HookSpec<'_>) -> Result<Hook, ForgeError> {
        self.post_hook(repo, spec).await
    }

    async fn update_hook(&self, repo: &RepoRef, id: HookNumber, spec: &HookSpec<'_>) -> Result<Hook, ForgeError> {
        self.edit_hook(repo, id, spec).await
    }

    async fn delete_hook(&self, repo: &RepoRef, id: HookNumber) -> Result<(), ForgeError> {
        self.drop_hook(repo, id).await
    }

    async fn ping_hook(&self, repo: &RepoRef, id: HookNumber) -> Result<(), ForgeError> {
        self.send_ping(repo, id).await
    }
}
