//! Comments of issues and pull requests.

use axum::{
    Json, Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::{Body, Listing, created, issues::Numbered};
use crate::github::{
    access::{At, Need},
    error::ApiError,
    forge::Forge,
    ops::comments::{self, CommentBody},
    state::Comment,
};

pub(super) fn router() -> Router<Forge> {
    Router::new()
        .route("/repos/{owner}/{repo}/issues/comments", get(list_all))
        .route("/repos/{owner}/{repo}/issues/comments/{id}", get(one).patch(edit).delete(delete))
        .route("/repos/{owner}/{repo}/issues/{number}/comments", get(list).post(create))
}

#[derive(Deserialize)]
struct Id {
    id: u64,
}

async fn list(
    State(forge): State<Forge>,
    at: At,
    Path(Numbered { number }): Path<Numbered>,
    list: Listing,
) -> Result<Response, ApiError> {
    let since = list.since()?;
    let items: Vec<Value> = forge.read(|view| {
        let repo = view.repo(&at, Need::Read)?;
        repo.issues.get(&number).ok_or(ApiError::NotFound)?;
        let found = repo.comments_of(number);
        let found = found.filter(|comment| since.is_none_or(|since| comment.updated_at >= since));
        Ok::<_, ApiError>(found.map(|comment| view.comment(repo, comment)).collect())
    })?;
    Ok(list.respond(&forge, &items))
}

async fn list_all(State(forge): State<Forge>, at: At, list: Listing) -> Result<Response, ApiError> {
    let since = list.since()?;
    let items: Vec<Value> = forge.read(|view| {
        let repo = view.repo(&at, Need::Read)?;
        let found = repo.comments.values();
        let mut found: Vec<&Comment> =
            found.filter(|comment| since.is_none_or(|since| comment.updated_at >= since)).collect();
        if list.get("sort") == Some("updated") {
            found.sort_by_key(|comment| (comment.updated_at, comment.id));
        }
        // Without a direction this one list comes oldest first.
        if !list.ascending(true) {
            found.reverse();
        }
        Ok::<_, ApiError>(found.into_iter().map(|comment| view.comment(repo, comment)).collect())
    })?;
    Ok(list.respond(&forge, &items))
}

async fn create(
    State(forge): State<Forge>,
    at: At,
    Path(Numbered { number }): Path<Numbered>,
    Body(CommentBody { body }): Body<CommentBody>,
) -> Result<Response, ApiError> {
    let comment = comments::create(&forge, &at, number, body)?;
    show(&forge, &at, &comment).map(created)
}

async fn one(State(forge): State<Forge>, at: At, Path(Id { id }): Path<Id>) -> Result<Json<Value>, ApiError> {
    forge.read(|view| {
        let repo = view.repo(&at, Need::Read)?;
        Ok(Json(view.comment(repo, repo.comments.get(&id).ok_or(ApiError::NotFound)?)))
    })
}

async fn edit(
    State(forge): State<Forge>,
    at: At,
    Path(Id { id }): Path<Id>,
    Body(CommentBody { body }): Body<CommentBody>,
) -> Result<Json<Value>, ApiError> {
    let comment = comments::edit(&forge, &at, id, body)?;
    show(&forge, &at, &comment).map(Json)
}

async fn delete(State(forge): State<Forge>, at: At, Path(Id { id }): Path<Id>) -> Result<StatusCode, ApiError> {
    comments::delete(&forge, &at, id)?;
    Ok(StatusCode::NO_CONTENT)
}

fn show(forge: &Forge, at: &At, comment: &Comment) -> Result<Value, ApiError> {
    forge.read(|view| Ok(view.comment(view.repo(at, Need::Read)?, comment)))
}
