//! Pull requests, reviews and comments on lines.

use serde_json::{Value, json};

use super::{association, node_id, time, time_or_null};
use crate::github::{
    forge::View,
    git::FileDiff,
    state::{Issue, Pull, Repo, Review, ReviewComment},
};

impl View<'_> {
    /// A pull request as it stands in lists.
    pub(crate) fn pull_simple(self, repo: &Repo, issue: &Issue) -> Value {
        let Some(pull) = &issue.pull else { return Value::Null };
        let links = self.links(repo);
        let api = format!("{}/pulls/{}", links.api, issue.number);
        let html = format!("{}/pull/{}", links.html, issue.number);
        let issue_url = format!("{}/issues/{}", links.api, issue.number);
        let statuses = format!("{}/statuses/{}", links.api, pull.head_sha);
        let mut value = json!({
            "id": pull.id, "node_id": node_id("PullRequest", pull.id), "number": issue.number,
            "url": api, "html_url": html, "diff_url": format!("{html}.diff"),
            "patch_url": format!("{html}.patch"), "issue_url": issue_url,
            "commits_url": format!("{api}/commits"), "comments_url": format!("{issue_url}/comments"),
            "review_comments_url": format!("{api}/comments"),
            "review_comment_url": format!("{}/pulls/comments{{/number}}", links.api),
            "statuses_url": statuses,
            "state": if issue.open { "open" } else { "closed" }, "locked": false,
            "active_lock_reason": null, "title": issue.title, "body": issue.body,
            "user": self.user(issue.author), "labels": self.labels(repo, &issue.labels),
            "milestone": null, "assignee": null, "assignees": [], "requested_reviewers": [],
            "requested_teams": [], "draft": pull.draft, "auto_merge": null,
            "author_association": association(self.model, repo, issue.author),
            "created_at": time(issue.created_at), "updated_at": time(issue.updated_at),
            "closed_at": time_or_null(issue.closed_at), "merged_at": time_or_null(pull.merged_at),
            "merge_commit_sha": pull.merge_commit_sha,
        });
        value["head"] = self.side(pull.head_repo, &pull.head_ref, &pull.head_sha);
        value["base"] = self.side(repo.id, &pull.base_ref, &pull.base_sha);
        value["_links"] = json!({
            "self": {"href": api}, "html": {"href": html}, "issue": {"href": issue_url},
            "comments": {"href": format!("{issue_url}/comments")},
            "review_comments": {"href": format!("{api}/comments")},
            "review_comment": {"href": format!("{}/pulls/comments{{/number}}", links.api)},
            "commits": {"href": format!("{api}/commits")}, "statuses": {"href": statuses},
        });
        value
    }

    /// A pull request asked for by itself. `mergeable` is none while nobody has tried.
    pub(crate) fn pull(self, repo: &Repo, issue: &Issue, mergeable: Option<bool>) -> Value {
        let mut value = self.pull_simple(repo, issue);
        let Some(Pull { size, merged_at, merged_by, maintainer_can_modify, .. }) = &issue.pull else {
            return value;
        };
        let on_lines = repo.review_comments.values().filter(|comment| comment.number == issue.number).count();
        let state = match (issue.open, mergeable) {
            (true, Some(true)) => "clean",
            (true, Some(false)) => "dirty",
            _ => "unknown",
        };
        let more = json!({
            "merged": merged_at.is_some(), "merged_by": self.user_or_null(*merged_by),
            "mergeable": mergeable, "rebaseable": mergeable, "mergeable_state": state,
            "maintainer_can_modify": maintainer_can_modify,
            "comments": repo.comments_of(issue.number).count(), "review_comments": on_lines,
            "commits": size.commits, "additions": size.additions, "deletions": size.deletions,
            "changed_files": size.changed_files,
        });
        if let Value::Object(value) = &mut value {
            super::user::extend(value, more);
        }
        value
    }

    fn side(self, repo: u64, name: &str, sha: &str) -> Value {
        let repo = self.model.repos.get(&repo);
        let owner = repo.and_then(|repo| self.model.users.get(&repo.owner));
        let login = owner.map_or("ghost", |owner| owner.login.as_str());
        json!({
            "label": format!("{login}:{name}"), "ref": name, "sha": sha,
            "user": self.user_or_null(owner.map(|owner| owner.id)),
            "repo": repo.map(|repo| self.repository(repo)),
        })
    }

    /// A review.
    pub(crate) fn review(self, repo: &Repo, review: &Review) -> Value {
        let links = self.links(repo);
        let html = format!("{}/pull/{}#pullrequestreview-{}", links.html, review.number, review.id);
        let pull = format!("{}/pulls/{}", links.api, review.number);
        let mut value = json!({
            "id": review.id, "node_id": node_id("PullRequestReview", review.id),
            "user": self.user(review.author), "body": review.body, "state": review.state,
            "html_url": html, "pull_request_url": pull, "commit_id": review.commit_id,
            "author_association": association(self.model, repo, review.author),
            "_links": {"html": {"href": html}, "pull_request": {"href": pull}},
        });
        if let Some(at) = review.submitted_at {
            value["submitted_at"] = time(at).into();
        }
        value
    }

    /// A comment on a line.
    pub(crate) fn review_comment(self, repo: &Repo, comment: &ReviewComment) -> Value {
        let links = self.links(repo);
        let api = format!("{}/pulls/comments/{}", links.api, comment.id);
        let html = format!("{}/pull/{}#discussion_r{}", links.html, comment.number, comment.id);
        let pull = format!("{}/pulls/{}", links.api, comment.number);
        let mut value = json!({
            "id": comment.id, "node_id": node_id("PullRequestReviewComment", comment.id),
            "url": api, "html_url": html, "pull_request_url": pull,
            "pull_request_review_id": comment.review, "diff_hunk": comment.diff_hunk,
            "path": comment.path, "commit_id": comment.commit_id,
            "original_commit_id": comment.commit_id, "user": self.user(comment.author),
            "body": comment.body, "created_at": time(comment.created_at),
            "updated_at": time(comment.updated_at), "side": comment.side,
            "start_line": comment.start_line, "original_start_line": comment.start_line,
            "start_side": comment.start_side, "subject_type": comment.subject_type,
            "author_association": association(self.model, repo, comment.author),
            "_links": {"self": {"href": api}, "html": {"href": html}, "pull_request": {"href": pull}},
        });
        if let (Some(line), Some(position)) = (comment.line, comment.position) {
            value["line"] = line.into();
            value["original_line"] = line.into();
            value["position"] = position.into();
            value["original_position"] = position.into();
        } else {
            value["position"] = 1.into();
            value["original_position"] = 1.into();
        }
        if let Some(parent) = comment.in_reply_to {
            value["in_reply_to_id"] = parent.into();
        }
        value
    }

    /// One file of a change.
    pub(crate) fn file(self, repo: &Repo, sha: &str, file: &FileDiff) -> Value {
        let links = self.links(repo);
        let mut value = json!({
            "sha": file.sha, "filename": file.path, "status": file.status,
            "additions": file.additions, "deletions": file.deletions,
            "changes": file.additions + file.deletions,
            "blob_url": format!("{}/blob/{sha}/{}", links.html, file.path),
            "raw_url": format!("{}/raw/{sha}/{}", links.html, file.path),
            "contents_url": format!("{}/contents/{}?ref={sha}", links.api, file.path),
        });
        if let Some(patch) = &file.patch {
            value["patch"] = patch.as_str().into();
        }
        if let Some(previous) = &file.previous {
            value["previous_filename"] = previous.as_str().into();
        }
        value
    }
}
