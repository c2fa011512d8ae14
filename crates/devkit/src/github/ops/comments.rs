//! Comments on issues and on the conversation of pull requests.

use serde::Deserialize;
use serde_json::json;

use crate::github::{
    access::{At, Need},
    error::ApiError,
    forge::{Forge, Tx},
    state::{Comment, Role},
};

/// GitHub's limit for a text.
pub(crate) const MAX_BODY: usize = 65_536;

/// The text of a comment.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct CommentBody {
    pub(crate) body: String,
}

/// Refuses an empty text and one above the limit.
pub(crate) fn check_body(resource: &str, body: &str) -> Result<(), ApiError> {
    if body.trim().is_empty() {
        return Err(ApiError::custom(resource, "body", "body can't be blank"));
    }
    if body.chars().count() > MAX_BODY {
        return Err(ApiError::custom(resource, "body", "body is too long (maximum is 65536 characters)"));
    }
    Ok(())
}

/// Writes a comment.
pub(crate) fn create(forge: &Forge, at: &At, number: u64, body: String) -> Result<Comment, ApiError> {
    forge.write(|tx| {
        let repo = tx.repo(at, Need::Speak)?;
        let author = at.caller.required()?;
        check_body("IssueComment", &body)?;
        let now = tx.now;
        tx.issue_mut(repo, number)?.updated_at = now;
        let id = tx.model.fresh_id();
        let comment = Comment { id, number, author, body, created_at: now, updated_at: now };
        tx.repo_mut(repo)?.comments.insert(id, comment.clone());
        tx.emit_comment(repo, "created", author, &comment, json!({}))?;
        Ok(comment)
    })
}

/// Changes the text of a comment; sends nothing if it stays the same.
pub(crate) fn edit(forge: &Forge, at: &At, id: u64, body: String) -> Result<Comment, ApiError> {
    forge.write(|tx| {
        let (repo, actor, mut comment) = own(tx, at, id)?;
        check_body("IssueComment", &body)?;
        let before = std::mem::replace(&mut comment.body, body);
        comment.updated_at = tx.now;
        tx.repo_mut(repo)?.comments.insert(id, comment.clone());
        if before != comment.body {
            let changes = json!({"changes": {"body": {"from": before}}});
            tx.emit_comment(repo, "edited", actor, &comment, changes)?;
        }
        Ok(comment)
    })
}

/// Removes a comment.
pub(crate) fn delete(forge: &Forge, at: &At, id: u64) -> Result<(), ApiError> {
    forge.write(|tx| {
        let (repo, actor, comment) = own(tx, at, id)?;
        tx.repo_mut(repo)?.comments.remove(&id);
        tx.emit_comment(repo, "deleted", actor, &comment, json!({}))
    })
}

/// The comment, if the person may change it: its author, or somebody who may push.
fn own(tx: &mut Tx<'_>, at: &At, id: u64) -> Result<(u64, u64, Comment), ApiError> {
    let repo = tx.repo(at, Need::Speak)?;
    let actor = at.caller.required()?;
    let known = tx.model.repos.get(&repo).ok_or(ApiError::NotFound)?;
    let comment = known.comments.get(&id).cloned().ok_or(ApiError::NotFound)?;
    if comment.author != actor && tx.model.role(Some(actor), known) < Some(Role::Write) {
        return Err(ApiError::no_right());
    }
    Ok((repo, actor, comment))
}
