//! Comments on lines of a diff, and the rule that they must lie in it.

use serde::Deserialize;
use serde_json::json;

use super::{comments, pulls, reviews};
use crate::github::{
    access::{At, Need},
    error::ApiError,
    forge::{Forge, Tx},
    git::{FileDiff, Hunk},
    state::{Review, ReviewComment},
};

/// Where a comment wants to stand.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Anchor {
    pub(crate) path: String,
    pub(crate) line: Option<u64>,
    pub(crate) side: Option<String>,
    pub(crate) start_line: Option<u64>,
    pub(crate) start_side: Option<String>,
    pub(crate) position: Option<u64>,
    pub(crate) subject_type: Option<String>,
}

/// A comment to write by itself.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct NewReviewComment {
    pub(crate) body: String,
    pub(crate) commit_id: String,
    pub(crate) in_reply_to: Option<u64>,
    #[serde(flatten)]
    pub(crate) anchor: Anchor,
}

/// Why an anchor fits nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnchorFault {
    Path,
    Line,
    Range,
}

impl AnchorFault {
    /// The sentence inside the answer to a whole review.
    pub(crate) fn in_review(self) -> &'static str {
        match self {
            Self::Path => "Path could not be resolved",
            Self::Line => "Line could not be resolved",
            Self::Range => "Start line must precede the end line in the same hunk",
        }
    }

    fn alone(self) -> ApiError {
        let (field, rule) = match self {
            Self::Path => ("pull_request_review_thread.path", "is invalid"),
            Self::Line => ("pull_request_review_thread.line", "must be part of the diff"),
            Self::Range => ("pull_request_review_thread.start_line", "must be part of the same hunk as the line."),
        };
        ApiError::custom("PullRequestReviewComment", field, &format!("{field} {rule}"))
    }
}

/// A place that is known to lie in the diff.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    anchor: Anchor,
    side: String,
    position: Option<u64>,
    diff_hunk: String,
}

/// Finds the place of an anchor in a diff.
pub(crate) fn locate(files: &[FileDiff], anchor: &Anchor) -> Result<Place, AnchorFault> {
    let file = files.iter().find(|file| file.path == anchor.path).ok_or(AnchorFault::Path)?;
    let side = anchor.side.clone().unwrap_or_else(|| "RIGHT".into());
    let patch = file.patch.as_deref().unwrap_or_default();
    if anchor.subject_type.as_deref() == Some("file") {
        let diff_hunk = patch.lines().next().unwrap_or_default().to_owned();
        let anchor = Anchor { line: None, start_line: None, ..anchor.clone() };
        return Ok(Place { anchor, side, position: None, diff_hunk });
    }
    let hunks = Hunk::parse(patch);
    let found = hunks.iter().find_map(|hunk| {
        let at = match (anchor.line, anchor.position) {
            (Some(line), _) => hunk.find(&side, line),
            (None, Some(position)) => hunk.lines.iter().position(|line| line.position == position),
            (None, None) => None,
        };
        Some((hunk, at?))
    });
    let (hunk, at) = found.ok_or(AnchorFault::Line)?;
    if let Some(start) = anchor.start_line {
        let start_side = anchor.start_side.as_deref().unwrap_or(&side);
        let start = hunk.find(start_side, start).ok_or(AnchorFault::Range)?;
        if start >= at {
            return Err(AnchorFault::Range);
        }
    }
    let lines = &hunk.lines[..=at];
    let diff_hunk = std::iter::once(hunk.header.as_str())
        .chain(lines.iter().map(|line| line.text.as_str()))
        .collect::<Vec<_>>()
        .join("\n");
    let here = &hunk.lines[at];
    let line = anchor.line.or(here.right).or(here.left);
    let anchor = Anchor { line, ..anchor.clone() };
    Ok(Place { anchor, side, position: Some(here.position), diff_hunk })
}

impl Place {
    /// Writes the comment into the model.
    pub(crate) fn into_comment(
        self,
        tx: &mut Tx<'_>,
        (repo, review): (u64, &Review),
        author: u64,
        body: String,
    ) -> Result<ReviewComment, ApiError> {
        let Self { anchor, side, position, diff_hunk } = self;
        let start_side = anchor.start_line.map(|_| anchor.start_side.clone().unwrap_or_else(|| side.clone()));
        let comment = ReviewComment {
            id: tx.model.fresh_id(),
            number: review.number,
            review: review.id,
            author,
            body,
            path: anchor.path,
            line: anchor.line,
            side,
            start_line: anchor.start_line,
            start_side,
            subject_type: anchor.subject_type.unwrap_or_else(|| "line".into()),
            commit_id: review.commit_id.clone(),
            diff_hunk,
            position,
            in_reply_to: None,
            created_at: tx.now,
            updated_at: tx.now,
        };
        tx.repo_mut(repo)?.review_comments.insert(comment.id, comment.clone());
        Ok(comment)
    }
}

/// Writes one comment, which makes a review of its own around it.
pub(crate) async fn create(
    forge: &Forge,
    at: &At,
    number: u64,
    new: NewReviewComment,
) -> Result<ReviewComment, ApiError> {
    if let Some(parent) = new.in_reply_to {
        return reply(forge, at, (number, parent), new.body);
    }
    let repo = forge.read(|view| view.repo(at, Need::Speak).map(|repo| repo.id))?;
    let author = at.caller.required()?;
    comments::check_body("PullRequestReviewComment", &new.body)?;
    let (_, pull) = pulls::find(forge, at, number)?;
    let (from, _) = pulls::range(forge, repo, &pull).await?;
    let files = forge.git.diff_files(repo, &from, &new.commit_id).await.map_err(|_| {
        let (field, rule) = ("pull_request_review_thread.commit_id", "is not part of the pull request");
        ApiError::custom("PullRequestReviewComment", field, &format!("{field} {rule}"))
    })?;
    let place = locate(&files, &new.anchor).map_err(AnchorFault::alone)?;
    forge.write(|tx| {
        let review = around(tx, (repo, number), author, new.commit_id)?;
        let comment = place.into_comment(tx, (repo, &review), author, new.body)?;
        reviews::emit(tx, repo, &review, std::slice::from_ref(&comment))?;
        Ok(comment)
    })
}

/// Answers a comment; an answer to an answer goes to the first of the thread.
pub(crate) fn reply(
    forge: &Forge,
    at: &At,
    (number, parent): (u64, u64),
    body: String,
) -> Result<ReviewComment, ApiError> {
    forge.write(|tx| {
        let repo = tx.repo(at, Need::Speak)?;
        let author = at.caller.required()?;
        comments::check_body("PullRequestReviewComment", &body)?;
        let known = tx.repo_mut(repo)?;
        let parent = known.review_comments.get(&parent).filter(|comment| comment.number == number);
        let parent = parent.cloned().ok_or(ApiError::NotFound)?;
        let review = around(tx, (repo, number), author, parent.commit_id.clone())?;
        let comment = ReviewComment {
            id: tx.model.fresh_id(),
            review: review.id,
            author,
            body,
            in_reply_to: Some(parent.in_reply_to.unwrap_or(parent.id)),
            created_at: tx.now,
            updated_at: tx.now,
            ..parent
        };
        tx.repo_mut(repo)?.review_comments.insert(comment.id, comment.clone());
        reviews::emit(tx, repo, &review, std::slice::from_ref(&comment))?;
        Ok(comment)
    })
}

fn around(tx: &mut Tx<'_>, (repo, number): (u64, u64), author: u64, commit_id: String) -> Result<Review, ApiError> {
    let review = Review {
        id: tx.model.fresh_id(),
        number,
        author,
        body: String::new(),
        state: "COMMENTED".into(),
        commit_id,
        submitted_at: Some(tx.now),
    };
    tx.repo_mut(repo)?.reviews.insert(review.id, review.clone());
    Ok(review)
}

/// Changes the text of one's own comment.
pub(crate) fn edit(forge: &Forge, at: &At, id: u64, body: String) -> Result<ReviewComment, ApiError> {
    forge.write(|tx| {
        let repo = tx.repo(at, Need::Speak)?;
        let (now, actor) = (tx.now, at.caller.required()?);
        comments::check_body("PullRequestReviewComment", &body)?;
        let comment = tx.repo_mut(repo)?.review_comments.get_mut(&id).ok_or(ApiError::NotFound)?;
        if comment.author != actor {
            return Err(ApiError::no_right());
        }
        let before = std::mem::replace(&mut comment.body, body);
        comment.updated_at = now;
        let comment = comment.clone();
        let view = tx.view();
        let known = view.model.repos.get(&repo).ok_or(ApiError::NotFound)?;
        let issue = known.issues.get(&comment.number).ok_or(ApiError::NotFound)?;
        let fields = json!({
            "comment": view.review_comment(known, &comment),
            "pull_request": view.pull_simple(known, issue), "changes": {"body": {"from": before}},
        });
        let event = "pull_request_review_comment";
        tx.emit(repo, crate::github::events::Event::new(event, Some("edited"), actor, fields))?;
        Ok(comment)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Vec<FileDiff> {
        vec![FileDiff {
            path: "a.py".into(),
            previous: None,
            status: "modified",
            sha: "0".into(),
            additions: 2,
            deletions: 1,
            patch: Some("@@ -1,2 +1,3 @@\n one\n-two\n+zwei\n+drei\n@@ -9 +10 @@\n nine".into()),
        }]
    }

    #[test]
    fn an_anchor_must_lie_in_one_hunk_of_a_changed_file() {
        let anchor = |line, side: &str, start_line| Anchor {
            path: "a.py".into(),
            line: Some(line),
            side: Some(side.into()),
            start_line,
            ..Anchor::default()
        };
        assert_eq!(locate(&files(), &anchor(3, "RIGHT", Some(2))).map(|place| place.position), Ok(Some(4)));
        assert_eq!(locate(&files(), &anchor(2, "LEFT", None)).map(|place| place.position), Ok(Some(2)));
        let fault = |anchor: &Anchor| locate(&files(), anchor).err();
        assert_eq!(fault(&anchor(5, "RIGHT", None)), Some(AnchorFault::Line));
        assert_eq!(fault(&anchor(2, "RIGHT", Some(2))), Some(AnchorFault::Range));
        assert_eq!(fault(&anchor(10, "RIGHT", Some(2))), Some(AnchorFault::Range));
        assert_eq!(fault(&Anchor { path: "b.py".into(), ..anchor(1, "RIGHT", None) }), Some(AnchorFault::Path));
    }
}
