//! Comments on lines of a pull request.

use axum::{
    Json, Router,
    extract::{Path, State},
    response::Response,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::Value;

use super::{Body, Listing, created, issues::Numbered};
use crate::github::{
    access::{At, Need},
    error::ApiError,
    forge::{Forge, View},
    ops::{
        comments::CommentBody,
        review_comments::{self, NewReviewComment},
    },
    state::{Repo, ReviewComment},
};

pub(super) fn router() -> Router<Forge> {
    Router::new()
        .route("/repos/{owner}/{repo}/pulls/comments", get(list_all))
        .route("/repos/{owner}/{repo}/pulls/comments/{id}", get(one).patch(edit))
        .route("/repos/{owner}/{repo}/pulls/{number}/comments", get(list).post(create))
        .route("/repos/{owner}/{repo}/pulls/{number}/comments/{id}/replies", post(reply))
}

#[derive(Deserialize)]
struct Id {
    id: u64,
}

#[derive(Deserialize)]
struct OfComment {
    number: u64,
    id: u64,
}

fn shown(view: View<'_>, at: &At, repo: &Repo, list: &Listing, number: Option<u64>) -> Result<Vec<Value>, ApiError> {
    let since = list.since()?;
    let pending = |comment: &ReviewComment| {
        repo.reviews
            .get(&comment.review)
            .is_some_and(|review| review.state == "PENDING" && at.caller.0 != Some(review.author))
    };
    let mut items: Vec<Value> = repo
        .review_comments
        .values()
        .filter(|comment| number.is_none_or(|number| comment.number == number))
        .filter(|comment| since.is_none_or(|since| comment.updated_at >= since))
        .filter(|comment| !pending(comment))
        .map(|comment| view.review_comment(repo, comment))
        .collect();
    if !list.ascending(true) {
        items.reverse();
    }
    Ok(items)
}

async fn list_all(State(forge): State<Forge>, at: At, list: Listing) -> Result<Response, ApiError> {
    let items = forge.read(|view| {
        let repo = view.repo(&at, Need::Read)?;
        shown(view, &at, repo, &list, None)
    })?;
    Ok(list.respond(&forge, &items))
}

async fn list(
    State(forge): State<Forge>,
    at: At,
    Path(Numbered { number }): Path<Numbered>,
    list: Listing,
) -> Result<Response, ApiError> {
    let items = forge.read(|view| {
        let repo = view.repo(&at, Need::Read)?;
        repo.issues.get(&number).filter(|issue| issue.pull.is_some()).ok_or(ApiError::NotFound)?;
        shown(view, &at, repo, &list, Some(number))
    })?;
    Ok(list.respond(&forge, &items))
}

async fn one(State(forge): State<Forge>, at: At, Path(Id { id }): Path<Id>) -> Result<Json<Value>, ApiError> {
    forge.read(|view| {
        let repo = view.repo(&at, Need::Read)?;
        let comment = repo.review_comments.get(&id).ok_or(ApiError::NotFound)?;
        Ok(Json(view.review_comment(repo, comment)))
    })
}

async fn create(
    State(forge): State<Forge>,
    at: At,
    Path(Numbered { number }): Path<Numbered>,
    Body(new): Body<NewReviewComment>,
) -> Result<Response, ApiError> {
    let comment = review_comments::create(&forge, &at, number, new).await?;
    show(&forge, &at, &comment).map(created)
}

async fn reply(
    State(forge): State<Forge>,
    at: At,
    Path(OfComment { number, id }): Path<OfComment>,
    Body(CommentBody { body }): Body<CommentBody>,
) -> Result<Response, ApiError> {
    let comment = review_comments::reply(&forge, &at, (number, id), body)?;
    show(&forge, &at, &comment).map(created)
}

async fn edit(
    State(forge): State<Forge>,
    at: At,
    Path(Id { id }): Path<Id>,
    Body(CommentBody { body }): Body<CommentBody>,
) -> Result<Json<Value>, ApiError> {
    let comment = review_comments::edit(&forge, &at, id, body)?;
    show(&forge, &at, &comment).map(Json)
}

fn show(forge: &Forge, at: &At, comment: &ReviewComment) -> Result<Value, ApiError> {
    forge.read(|view| Ok(view.review_comment(view.repo(at, Need::Read)?, comment)))
}
