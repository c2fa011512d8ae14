//! Labels of a repository and on issues.

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
    ops::{
        issues::LabelName,
        labels::{self, NewLabel},
    },
};

pub(super) fn router() -> Router<Forge> {
    Router::new()
        .route("/repos/{owner}/{repo}/labels", get(list).post(create))
        .route("/repos/{owner}/{repo}/labels/{name}", get(one).delete(delete))
        .route("/repos/{owner}/{repo}/issues/{number}/labels", get(on_issue).post(add).put(set).delete(clear))
        .route("/repos/{owner}/{repo}/issues/{number}/labels/{name}", axum::routing::delete(remove))
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct OnIssue {
    number: u64,
    name: String,
}

/// Names in any of the forms that GitHub takes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Names {
    Object { labels: Vec<LabelName> },
    List(Vec<LabelName>),
    One(String),
}

impl Names {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::Object { labels } | Self::List(labels) => labels.into_iter().map(LabelName::into_string).collect(),
            Self::One(name) => vec![name],
        }
    }
}

async fn list(State(forge): State<Forge>, at: At, list: Listing) -> Result<Response, ApiError> {
    let items: Vec<Value> = forge.read(|view| {
        let repo = view.repo(&at, Need::Read)?;
        Ok::<_, ApiError>(repo.labels.iter().map(|label| view.label(repo, label)).collect())
    })?;
    Ok(list.respond(&forge, &items))
}

async fn create(State(forge): State<Forge>, at: At, Body(new): Body<NewLabel>) -> Result<Response, ApiError> {
    let label = labels::create(&forge, &at, new)?;
    forge.read(|view| Ok(created(view.label(view.repo(&at, Need::Read)?, &label))))
}

async fn one(State(forge): State<Forge>, at: At, Path(Named { name }): Path<Named>) -> Result<Json<Value>, ApiError> {
    forge.read(|view| {
        let repo = view.repo(&at, Need::Read)?;
        Ok(Json(view.label(repo, repo.label(&name).ok_or(ApiError::NotFound)?)))
    })
}

async fn delete(State(forge): State<Forge>, at: At, Path(Named { name }): Path<Named>) -> Result<StatusCode, ApiError> {
    labels::delete(&forge, &at, &name)?;
    Ok(StatusCode::NO_CONTENT)
}

fn shown(forge: &Forge, at: &At, number: u64) -> Result<Vec<Value>, ApiError> {
    forge.read(|view| {
        let repo = view.repo(at, Need::Read)?;
        let issue = repo.issues.get(&number).ok_or(ApiError::NotFound)?;
        Ok(view.labels(repo, &issue.labels))
    })
}

async fn on_issue(
    State(forge): State<Forge>,
    at: At,
    Path(Numbered { number }): Path<Numbered>,
    list: Listing,
) -> Result<Response, ApiError> {
    Ok(list.respond(&forge, &shown(&forge, &at, number)?))
}

async fn add(
    State(forge): State<Forge>,
    at: At,
    Path(Numbered { number }): Path<Numbered>,
    Body(names): Body<Names>,
) -> Result<Json<Vec<Value>>, ApiError> {
    labels::add(&forge, &at, number, names.into_vec())?;
    shown(&forge, &at, number).map(Json)
}

async fn set(
    State(forge): State<Forge>,
    at: At,
    Path(Numbered { number }): Path<Numbered>,
    Body(names): Body<Names>,
) -> Result<Json<Vec<Value>>, ApiError> {
    labels::set(&forge, &at, number, names.into_vec())?;
    shown(&forge, &at, number).map(Json)
}

async fn clear(
    State(forge): State<Forge>,
    at: At,
    Path(Numbered { number }): Path<Numbered>,
) -> Result<StatusCode, ApiError> {
    labels::set(&forge, &at, number, Vec::new())?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove(
    State(forge): State<Forge>,
    at: At,
    Path(OnIssue { number, name }): Path<OnIssue>,
) -> Result<Json<Vec<Value>>, ApiError> {
    labels::remove(&forge, &at, number, &name)?;
    shown(&forge, &at, number).map(Json)
}
