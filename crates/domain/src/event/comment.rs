//! New comments.

use chrono::{DateTime, Utc};

use super::{Missing, Sender, Subject, SubjectKind, json::Object};
use crate::sentences;

/// A comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Its id on the forge.
    pub id: i64,
    /// Its text.
    pub body: String,
    /// Who wrote it; none if the account is gone.
    pub author: Option<Sender>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
}

/// Somebody wrote a comment in the conversation of an issue or a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommentCreated {
    /// What it is about.
    pub subject: Subject,
    /// Title of that.
    pub title: String,
    /// Whether the issue or pull request is open.
    pub open: bool,
    /// The comment.
    pub comment: Comment,
}

pub(super) fn read(root: &Object<'_>) -> Result<CommentCreated, Missing> {
    let issue = root.object("issue");
    let comment = root.object("comment");
    // The forge speaks of pull requests as issues with a link to the pull request.
    let kind = if issue.has("pull_request") { SubjectKind::PullRequest } else { SubjectKind::Issue };
    Ok(CommentCreated {
        subject: Subject { kind, number: issue.id("number").ok_or(Missing(sentences::number_of_issue()))? },
        title: issue.text("title").unwrap_or_default(),
        open: issue.name("state").is_none_or(|state| state == "open"),
        comment: Comment {
            id: comment.id("id").ok_or(Missing(sentences::id_of_comment()))?,
            body: comment.text("body").unwrap_or_default(),
            author: Sender::read(&comment.object("user")),
            created_at: comment.time("created_at").ok_or(Missing(sentences::when_commented()))?,
        },
    })
}
