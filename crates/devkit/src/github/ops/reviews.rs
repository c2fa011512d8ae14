//! Reviews: a summary with comments on lines, taken whole or not at all.

use serde::Deserialize;
use serde_json::json;

use super::{
    comments, pulls,
    review_comments::{Anchor, Place, locate},
};
use crate::github::{
    access::{At, Need},
    error::ApiError,
    events::Event,
    forge::{Forge, Tx},
    state::{Review, ReviewComment},
};

/// A comment inside a new review.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct NewReviewLine {
    pub(crate) body: String,
    #[serde(flatten)]
    pub(crate) anchor: Anchor,
}

/// A review to write.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct NewReview {
    pub(crate) commit_id: Option<String>,
    pub(crate) body: Option<String>,
    pub(crate) event: Option<String>,
    #[serde(default)]
    pub(crate) comments: Vec<NewReviewLine>,
}

/// The words of a review's state by the event that was asked for.
fn state_of(event: Option<&str>) -> Result<&'static str, ApiError> {
    match event {
        None => Ok("PENDING"),
        Some("COMMENT") => Ok("COMMENTED"),
        Some("APPROVE") => Ok("APPROVED"),
        Some("REQUEST_CHANGES") => Ok("CHANGES_REQUESTED"),
        Some(_) => Err(ApiError::invalid("PullRequestReview", "event", "invalid")),
    }
}

fn unprocessable(sentence: &str) -> ApiError {
    ApiError::Invalid { message: "Unprocessable Entity".into(), errors: vec![json!(sentence)] }
}

/// Writes a review. One comment that fits nowhere refuses the whole, as on GitHub.
pub(crate) async fn create(forge: &Forge, at: &At, number: u64, new: NewReview) -> Result<Review, ApiError> {
    let state = state_of(new.event.as_deref())?;
    let (repo, author, issue_author) = forge.read(|view| {
        let repo = view.repo(at, Need::Speak)?;
        let issue = repo.issues.get(&number).filter(|issue| issue.pull.is_some());
        Ok::<_, ApiError>((repo.id, at.caller.required()?, issue.ok_or(ApiError::NotFound)?.author))
    })?;
    let (_, pull) = pulls::find(forge, at, number)?;
    if author == issue_author && state == "APPROVED" {
        return Err(unprocessable("Can not approve your own pull request"));
    }
    if author == issue_author && state == "CHANGES_REQUESTED" {
        return Err(unprocessable("Can not request changes on your own pull request"));
    }
    let body = new.body.unwrap_or_default();
    let says_nothing = body.trim().is_empty() && new.comments.is_empty();
    if says_nothing && matches!(state, "COMMENTED" | "CHANGES_REQUESTED") {
        return Err(unprocessable("Body can't be blank"));
    }
    if body.chars().count() > comments::MAX_BODY {
        return Err(unprocessable("Body is too long (maximum is 65536 characters)"));
    }
    let commit_id = new.commit_id.unwrap_or_else(|| pull.head_sha.clone());
    let files = if new.comments.is_empty() {
        Vec::new()
    } else {
        let (from, _) = pulls::range(forge, repo, &pull).await?;
        forge
            .git
            .diff_files(repo, &from, &commit_id)
            .await
            .map_err(|_| unprocessable("The commit is not part of the pull request"))?
    };
    let mut placed: Vec<(String, Place)> = Vec::new();
    for line in new.comments {
        comments::check_body("PullRequestReviewComment", &line.body)?;
        let place = locate(&files, &line.anchor).map_err(|fault| unprocessable(fault.in_review()))?;
        placed.push((line.body, place));
    }
    forge.write(|tx| {
        let review = Review {
            id: tx.model.fresh_id(),
            number,
            author,
            body,
            state: state.to_owned(),
            commit_id,
            submitted_at: (state != "PENDING").then_some(tx.now),
        };
        tx.repo_mut(repo)?.reviews.insert(review.id, review.clone());
        let mut written = Vec::new();
        for (body, place) in placed {
            written.push(place.into_comment(tx, (repo, &review), author, body)?);
        }
        if state != "PENDING" {
            emit(tx, repo, &review, &written)?;
        }
        Ok(review)
    })
}

/// Hands in a pending review.
pub(crate) fn submit(
    forge: &Forge,
    at: &At,
    (number, id): (u64, u64),
    event: &str,
    body: Option<String>,
) -> Result<Review, ApiError> {
    let state = state_of(Some(event))?;
    forge.write(|tx| {
        let repo = tx.repo(at, Need::Speak)?;
        let (now, actor) = (tx.now, at.caller.required()?);
        let known = tx.repo_mut(repo)?;
        let review = known.reviews.get_mut(&id).filter(|review| review.number == number);
        let review = review.filter(|review| review.author == actor).ok_or(ApiError::NotFound)?;
        if review.state != "PENDING" {
            return Err(unprocessable("Review is not pending"));
        }
        review.state = state.to_owned();
        review.submitted_at = Some(now);
        review.body = body.unwrap_or_else(|| std::mem::take(&mut review.body));
        let review = review.clone();
        let comments = known.review_comments.values().filter(|comment| comment.review == id);
        let comments: Vec<ReviewComment> = comments.cloned().collect();
        emit(tx, repo, &review, &comments)?;
        Ok(review)
    })
}

/// Sends `pull_request_review` and one `pull_request_review_comment` per line.
pub(crate) fn emit(tx: &mut Tx<'_>, repo: u64, review: &Review, comments: &[ReviewComment]) -> Result<(), ApiError> {
    let now = tx.now;
    tx.issue_mut(repo, review.number)?.updated_at = now;
    let view = tx.view();
    let known = view.model.repos.get(&repo).ok_or(ApiError::NotFound)?;
    let issue = known.issues.get(&review.number).ok_or(ApiError::NotFound)?;
    let pull = view.pull_simple(known, issue);
    let mut shown = view.review(known, review);
    // Webhooks write the state in small letters.
    shown["state"] = review.state.to_lowercase().into();
    let fields = json!({"review": shown, "pull_request": pull});
    tx.emit(repo, Event::new("pull_request_review", Some("submitted"), review.author, fields))?;
    for comment in comments {
        let known = tx.model.repos.get(&repo).ok_or(ApiError::NotFound)?;
        let shown = tx.view().review_comment(known, comment);
        let fields = json!({"comment": shown, "pull_request": pull});
        tx.emit(repo, Event::new("pull_request_review_comment", Some("created"), review.author, fields))?;
    }
    Ok(())
}
