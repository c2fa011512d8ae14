//! Git refs.

use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{get, patch, post},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::{Body, Listing, created};
use crate::github::{
    access::{At, Need},
    error::ApiError,
    forge::Forge,
    git::{RefMove, ZERO},
    ops::push,
};

pub(super) fn router() -> Router<Forge> {
    Router::new()
        .route("/repos/{owner}/{repo}/git/ref/{*name}", get(one))
        .route("/repos/{owner}/{repo}/git/matching-refs/{*name}", get(matching))
        .route("/repos/{owner}/{repo}/git/refs", post(create))
        .route("/repos/{owner}/{repo}/git/refs/{*name}", patch(update).delete(delete))
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct NewRef {
    #[serde(rename = "ref")]
    name: String,
    sha: String,
}

#[derive(Deserialize)]
struct MoveRef {
    sha: String,
    #[serde(default)]
    force: bool,
}

fn missing(name: &str) -> ApiError {
    ApiError::unprocessable(format!("Reference does not exist: {name}"))
}

/// Checks that a commit exists before a ref points at it.
async fn existing(forge: &Forge, repo: u64, sha: &str) -> Result<(), ApiError> {
    let is_sha = sha.len() == 40 && sha.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_sha && forge.git.commit_of(repo, sha).await.is_ok() {
        return Ok(());
    }
    Err(ApiError::unprocessable("Object does not exist"))
}

async fn one(State(forge): State<Forge>, at: At, Path(Named { name }): Path<Named>) -> Result<Json<Value>, ApiError> {
    let repo = forge.read(|view| view.repo(&at, Need::Read).cloned())?;
    let name = format!("refs/{name}");
    let sha = forge.git.ref_sha(repo.id, &name).await?.ok_or(ApiError::NotFound)?;
    Ok(Json(forge.read(|view| view.git_ref(&repo, &name, &sha))))
}

async fn matching(
    State(forge): State<Forge>,
    at: At,
    Path(Named { name }): Path<Named>,
    list: Listing,
) -> Result<Response, ApiError> {
    let repo = forge.read(|view| view.repo(&at, Need::Read).cloned())?;
    let prefix = format!("refs/{name}");
    let refs = forge.git.refs(repo.id).await?;
    let found = refs.iter().filter(|(name, _)| name.starts_with(&prefix));
    let items: Vec<Value> = forge.read(|view| found.map(|(name, sha)| view.git_ref(&repo, name, sha)).collect());
    Ok(list.respond(&forge, &items))
}

async fn create(State(forge): State<Forge>, at: At, Body(new): Body<NewRef>) -> Result<Response, ApiError> {
    let repo = forge.read(|view| view.repo(&at, Need::Push).cloned())?;
    let known_kind = ["refs/heads/", "refs/tags/"].iter().any(|kind| new.name.starts_with(kind));
    if !known_kind || !forge.git.legal_ref(repo.id, &new.name).await {
        return Err(ApiError::unprocessable(format!("{} is not a valid ref name.", new.name)));
    }
    existing(&forge, repo.id, &new.sha).await?;
    if forge.git.ref_sha(repo.id, &new.name).await?.is_some() {
        return Err(ApiError::unprocessable("Reference already exists"));
    }
    let moved = RefMove { name: new.name.clone(), before: ZERO.to_owned(), after: new.sha.clone() };
    push::move_refs(&forge, &at, vec![moved]).await?;
    Ok(created(forge.read(|view| view.git_ref(&repo, &new.name, &new.sha))))
}

async fn update(
    State(forge): State<Forge>,
    at: At,
    Path(Named { name }): Path<Named>,
    Body(MoveRef { sha, force }): Body<MoveRef>,
) -> Result<Json<Value>, ApiError> {
    let repo = forge.read(|view| view.repo(&at, Need::Push).cloned())?;
    let name = format!("refs/{name}");
    let before = forge.git.ref_sha(repo.id, &name).await?.ok_or_else(|| missing(&name))?;
    existing(&forge, repo.id, &sha).await?;
    if !force && !forge.git.contains(repo.id, &before, &sha).await {
        return Err(ApiError::unprocessable("Update is not a fast forward"));
    }
    if before != sha {
        let moved = RefMove { name: name.clone(), before, after: sha.clone() };
        push::move_refs(&forge, &at, vec![moved]).await?;
    }
    Ok(Json(forge.read(|view| view.git_ref(&repo, &name, &sha))))
}

async fn delete(State(forge): State<Forge>, at: At, Path(Named { name }): Path<Named>) -> Result<Response, ApiError> {
    let repo = forge.read(|view| view.repo(&at, Need::Push).cloned())?;
    let name = format!("refs/{name}");
    let before = forge.git.ref_sha(repo.id, &name).await?.ok_or_else(|| missing(&name))?;
    push::move_refs(&forge, &at, vec![RefMove { name, before, after: ZERO.to_owned() }]).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
