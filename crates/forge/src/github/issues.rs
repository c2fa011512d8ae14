//! Issues, comments and labels.

use chrono::{DateTime, SecondsFormat, Utc};
use http::Method;
use serde_json::json;

use super::{
    GitHub,
    route::Route,
    transport::Call,
    wire::{WireComment, WireIssue, WireLabel, label_names},
};
use crate::{
    ForgeError, RepoRef,
    ids::{CommentId, IssueNumber},
    labels::LabelStyle,
    model::{Comment, CommentSearch, Issue},
};

impl GitHub {
    pub(super) async fn read_issue(&self, repo: &RepoRef, number: IssueNumber) -> Result<Issue, ForgeError> {
        let route = self.repo_route(repo, &["issues", &number.to_string()])?;
        Ok(self.call(repo, Call::get(route)).await?.json::<WireIssue>()?.into())
    }

    pub(super) async fn search_issues(&self, repo: &RepoRef, marker: &str) -> Result<Option<Issue>, ForgeError> {
        let me = self.account().await?;
        let route = self.repo_route(repo, &["issues"])?;
        let route = route.query("state", "open").query("creator", &me.login).query("direction", "asc");
        // Logins change hands, and anyone can copy a marker.
        let ours = |issue: &Issue| {
            let by_me = issue.author.as_ref().is_some_and(|author| author.id == me.id);
            by_me && !issue.is_pull_request && issue.body.contains(marker)
        };
        self.find(repo, route, |wire: WireIssue| Some(Issue::from(wire)).filter(|issue| ours(issue))).await
    }

    pub(super) async fn post_issue(&self, repo: &RepoRef, title: &str, body: &str) -> Result<Issue, ForgeError> {
        let route = self.repo_route(repo, &["issues"])?;
        let call = Call::new(Method::POST, route).body(json!({ "title": title, "body": body }));
        Ok(self.call(repo, call).await?.json::<WireIssue>()?.into())
    }

    fn comments_route(
        &self,
        repo: &RepoRef,
        number: IssueNumber,
        since: Option<DateTime<Utc>>,
    ) -> Result<Route, ForgeError> {
        let route = self.repo_route(repo, &["issues", &number.to_string(), "comments"])?;
        Ok(match since {
            Some(at) => route.query("since", &at.to_rfc3339_opts(SecondsFormat::Secs, true)),
            None => route,
        })
    }

    pub(super) async fn list_comments(
        &self,
        repo: &RepoRef,
        number: IssueNumber,
        since: Option<DateTime<Utc>>,
        limit: usize,
    ) -> Result<Vec<Comment>, ForgeError> {
        let route = self.comments_route(repo, number, since)?;
        let wire: Vec<WireComment> = self.list(repo, route, limit).await?;
        Ok(wire.into_iter().map(Comment::from).collect())
    }

    pub(super) async fn search_comments(
        &self,
        repo: &RepoRef,
        number: IssueNumber,
        search: CommentSearch<'_>,
    ) -> Result<Option<Comment>, ForgeError> {
        let me = if search.author_is_me { Some(self.account().await?.id) } else { None };
        let fits = |comment: &Comment| {
            let author_fits = me.is_none() || comment.author.as_ref().map(|author| author.id) == me;
            author_fits && comment.body.contains(search.marker)
        };
        let route = self.comments_route(repo, number, search.since)?;
        self.find(repo, route, |wire: WireComment| Some(Comment::from(wire)).filter(|comment| fits(comment))).await
    }

    pub(super) async fn post_comment(
        &self,
        repo: &RepoRef,
        number: IssueNumber,
        body: &str,
    ) -> Result<Comment, ForgeError> {
        let route = self.repo_route(repo, &["issues", &number.to_string(), "comments"])?;
        let call = Call::new(Method::POST, route).body(json!({ "body": body }));
        Ok(self.call(repo, call).await?.json::<WireComment>()?.into())
    }

    pub(super) async fn edit_comment(&self, repo: &RepoRef, id: CommentId, body: &str) -> Result<Comment, ForgeError> {
        let route = self.repo_route(repo, &["issues", "comments", &id.to_string()])?;
        let call = Call::new(Method::PATCH, route).body(json!({ "body": body }));
        Ok(self.call(repo, call).await?.json::<WireComment>()?.into())
    }

    pub(super) async fn read_labels(&self, repo: &RepoRef, number: IssueNumber) -> Result<Vec<String>, ForgeError> {
        let route = self.repo_route(repo, &["issues", &number.to_string(), "labels"])?;
        Ok(label_names(self.list::<WireLabel>(repo, route, 200).await?))
    }

    pub(super) async fn put_label(
        &self,
        repo: &RepoRef,
        number: IssueNumber,
        label: &str,
        style: LabelStyle,
    ) -> Result<(), ForgeError> {
        self.ensure_label(repo, label, style).await?;
        let route = self.repo_route(repo, &["issues", &number.to_string(), "labels"])?;
        let call = Call::new(Method::POST, route).body(json!({ "labels": [label] }));
        self.call(repo, call).await.map(|_| ())
    }

    /// GitHub would make a missing label by itself, in grey and without a word.
    async fn ensure_label(&self, repo: &RepoRef, label: &str, style: LabelStyle) -> Result<(), ForgeError> {
        match self.call(repo, Call::get(self.repo_route(repo, &["labels", label])?)).await {
            Err(ForgeError::NotFound) => {}
            other => return other.map(|_| ()),
        }
        let body = json!({ "name": label, "color": style.color, "description": style.description });
        match self.call(repo, Call::new(Method::POST, self.repo_route(repo, &["labels"])?).body(body)).await {
            // Somebody else was faster.
            Err(ForgeError::Validation { fields, .. })
                if fields.iter().any(|field| field.contains("already_exists")) =>
            {
                Ok(())
            }
            other => other.map(|_| ()),
        }
    }

    pub(super) async fn drop_label(&self, repo: &RepoRef, number: IssueNumber, label: &str) -> Result<(), ForgeError> {
        let route = self.repo_route(repo, &["issues", &number.to_string(), "labels", label])?;
        match self.call(repo, Call::new(Method::DELETE, route)).await {
            Ok(_) | Err(ForgeError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
