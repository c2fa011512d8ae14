//! Issues and comments.

use serde_json::{Value, json};

use super::{association, node_id, time, time_or_null};
use crate::github::{
    forge::View,
    state::{Comment, Issue, Repo},
};

impl View<'_> {
    /// An issue, or the issue side of a pull request.
    pub(crate) fn issue(self, repo: &Repo, issue: &Issue) -> Value {
        let links = self.links(repo);
        let api = format!("{}/issues/{}", links.api, issue.number);
        let page = if issue.pull.is_some() { "pull" } else { "issues" };
        let mut value = json!({
            "id": issue.id, "node_id": node_id("Issue", issue.id), "number": issue.number,
            "url": api, "repository_url": links.api,
            "labels_url": format!("{api}/labels{{/name}}"), "comments_url": format!("{api}/comments"),
            "events_url": format!("{api}/events"), "timeline_url": format!("{api}/timeline"),
            "html_url": format!("{}/{page}/{}", links.html, issue.number),
            "title": issue.title, "body": issue.body, "user": self.user(issue.author),
            "labels": self.labels(repo, &issue.labels),
            "state": if issue.open { "open" } else { "closed" }, "state_reason": issue.state_reason,
            "locked": false, "active_lock_reason": null, "assignee": null, "assignees": [],
            "milestone": null, "comments": repo.comments_of(issue.number).count(),
            "created_at": time(issue.created_at), "updated_at": time(issue.updated_at),
            "closed_at": time_or_null(issue.closed_at), "closed_by": self.user_or_null(issue.closed_by),
            "author_association": association(self.model, repo, issue.author),
            "performed_via_github_app": self.app_behind(issue.author),
            "reactions": reactions(&api),
        });
        if let Some(pull) = &issue.pull {
            value["draft"] = pull.draft.into();
            value["pull_request"] = json!({
                "url": format!("{}/pulls/{}", links.api, issue.number),
                "html_url": format!("{}/pull/{}", links.html, issue.number),
                "diff_url": format!("{}/pull/{}.diff", links.html, issue.number),
                "patch_url": format!("{}/pull/{}.patch", links.html, issue.number),
                "merged_at": time_or_null(pull.merged_at),
            });
        }
        value
    }

    /// A comment of a conversation.
    pub(crate) fn comment(self, repo: &Repo, comment: &Comment) -> Value {
        let links = self.links(repo);
        let is_pull = repo.issues.get(&comment.number).is_some_and(|issue| issue.pull.is_some());
        let page = if is_pull { "pull" } else { "issues" };
        let api = format!("{}/issues/comments/{}", links.api, comment.id);
        json!({
            "id": comment.id, "node_id": node_id("IssueComment", comment.id), "url": api,
            "html_url": format!("{}/{page}/{}#issuecomment-{}", links.html, comment.number, comment.id),
            "issue_url": format!("{}/issues/{}", links.api, comment.number),
            "body": comment.body, "user": self.user(comment.author),
            "created_at": time(comment.created_at), "updated_at": time(comment.updated_at),
            "author_association": association(self.model, repo, comment.author),
            "performed_via_github_app": self.app_behind(comment.author), "reactions": reactions(&api),
        })
    }
}

fn reactions(api: &str) -> Value {
    json!({
        "url": format!("{api}/reactions"), "total_count": 0, "+1": 0, "-1": 0, "laugh": 0,
        "hooray": 0, "confused": 0, "heart": 0, "rocket": 0, "eyes": 0,
    })
}
