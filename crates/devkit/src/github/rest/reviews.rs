//! Reviews.

use axum::{
    Json, Router,
    extract::{Path, State},
    response::Response,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::Value;

use super::{Body, Listing, issues::Numbered};
use crate::github::{
    access::{At, Need},
    error::ApiError,
    forge::{Forge, View},
    ops::reviews::{self, NewReview},
    state::{Repo, Review},
};

pub(super) fn router() -> Router<Forge> {
    Router::new()
        .route("/repos/{owner}/{repo}/pulls/{number}/reviews", get(list).post(create))
        .route("/repos/{owner}/{repo}/pulls/{number}/reviews/{id}", get(one))
        .route("/repos/{owner}/{repo}/pulls/{number}/reviews/{id}/comments", get(comments))
        .route("/repos/{owner}/{repo}/pulls/{number}/reviews/{id}/events", post(submit))
}

#[derive(Deserialize)]
struct OfReview {
    number: u64,
    id: u64,
}

#[derive(Deserialize)]
struct Submit {
    event: String,
    body: Option<String>,
}

fn find<'a>(view: View<'a>, at: &At, of: &OfReview) -> Result<(&'a Repo, &'a Review), ApiError> {
    let repo = view.repo(at, Need::Read)?;
    let review = repo.reviews.get(&of.id).filter(|review| review.number == of.number);
    let review = review.filter(|review| is_visible(at, review));
    Ok((repo, review.ok_or(ApiError::NotFound)?))
}

/// A pending review is its author's alone.
fn is_visible(at: &At, review: &Review) -> bool {
    review.state != "PENDING" || at.caller.0 == Some(review.author)
}

async fn list(
    State(forge): State<Forge>,
    at: At,
    Path(Numbered { number }): Path<Numbered>,
    list: Listing,
) -> Result<Response, ApiError> {
    let items: Vec<Value> = forge.read(|view| {
        let repo = view.repo(&at, Need::Read)?;
        repo.issues.get(&number).filter(|issue| issue.pull.is_some()).ok_or(ApiError::NotFound)?;
        let found = repo.reviews.values().filter(|review| review.number == number);
        let found = found.filter(|review| is_visible(&at, review));
        Ok::<_, ApiError>(found.map(|review| view.review(repo, review)).collect())
    })?;
    Ok(list.respond(&forge, &items))
}

async fn create(
    State(forge): State<Forge>,
    at: At,
    Path(Numbered { number }): Path<Numbered>,
    Body(new): Body<NewReview>,
) -> Result<Json<Value>, ApiError> {
    let review = reviews::create(&forge, &at, number, new).await?;
    forge.read(|view| Ok(Json(view.review(view.repo(&at, Need::Read)?, &review))))
}

async fn one(State(forge): State<Forge>, at: At, Path(of): Path<OfReview>) -> Result<Json<Value>, ApiError> {
    forge.read(|view| find(view, &at, &of).map(|(repo, review)| Json(view.review(repo, review))))
}

async fn comments(
    State(forge): State<Forge>,
    at: At,
    Path(of): Path<OfReview>,
    list: Listing,
) -> Result<Response, ApiError> {
    let items: Vec<Value> = forge.read(|view| {
        let (repo, review) = find(view, &at, &of)?;
        let found = repo.review_comments.values().filter(|comment| comment.review == review.id);
        Ok::<_, ApiError>(found.map(|comment| view.review_comment(repo, comment)).collect())
    })?;
    Ok(list.respond(&forge, &items))
}

async fn submit(
    State(forge): State<Forge>,
    at: At,
    Path(of): Path<OfReview>,
    Body(Submit { event, body }): Body<Submit>,
) -> Result<Json<Value>, ApiError> {
    let review = reviews::submit(&forge, &at, (of.number, of.id), &event, body)?;
    forge.read(|view| Ok(Json(view.review(view.repo(&at, Need::Read)?, &review))))
}
