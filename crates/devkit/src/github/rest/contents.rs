//! Files and folders.

use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Body, Listing, text, wants};
use crate::github::{
    access::{At, Need},
    error::ApiError,
    forge::Forge,
    git::FileChange,
    ops::files::{self, PutFile},
};

pub(super) fn router() -> Router<Forge> {
    Router::new()
        .route("/repos/{owner}/{repo}/contents", get(root))
        .route("/repos/{owner}/{repo}/contents/", get(root))
        .route("/repos/{owner}/{repo}/contents/{*path}", get(one).put(put))
}

#[derive(Deserialize)]
struct Pathed {
    path: String,
}

async fn root(State(forge): State<Forge>, at: At, headers: HeaderMap, list: Listing) -> Result<Response, ApiError> {
    read(&forge, &at, "", (&headers, &list)).await
}

async fn one(
    State(forge): State<Forge>,
    at: At,
    Path(Pathed { path }): Path<Pathed>,
    headers: HeaderMap,
    list: Listing,
) -> Result<Response, ApiError> {
    read(&forge, &at, &path, (&headers, &list)).await
}

async fn read(
    forge: &Forge,
    at: &At,
    path: &str,
    (headers, list): (&HeaderMap, &Listing),
) -> Result<Response, ApiError> {
    let repo = forge.read(|view| view.repo(at, Need::Read).cloned())?;
    let name = list.get("ref").unwrap_or(&repo.default_branch);
    let commit = forge.git.resolve(repo.id, name).await?;
    let entries = forge.git.tree(repo.id, &commit, path).await?;
    if let [entry] = entries.as_slice()
        && entry.path == path.trim_matches('/')
    {
        let bytes = forge.git.blob(repo.id, &entry.sha).await?;
        if wants(headers, "raw") {
            return Ok(text("raw", bytes));
        }
        let value = forge.read(|view| view.content(&repo, name, entry, Some(&bytes)));
        return Ok(Json(value).into_response());
    }
    let items: Vec<Value> =
        forge.read(|view| entries.iter().map(|entry| view.content(&repo, name, entry, None)).collect());
    Ok(Json(items).into_response())
}

async fn put(
    State(forge): State<Forge>,
    at: At,
    Path(Pathed { path }): Path<Pathed>,
    Body(put): Body<PutFile>,
) -> Result<Response, ApiError> {
    let repo = forge.read(|view| view.repo(&at, Need::Push).cloned())?;
    let encoded: String = put.content.split_whitespace().collect();
    let content =
        BASE64_STANDARD.decode(encoded).map_err(|_| ApiError::unprocessable("content is not valid Base64"))?;
    let branch = put.branch.as_deref().unwrap_or(&repo.default_branch);
    let known = match forge.git.resolve(repo.id, branch).await {
        Ok(commit) => forge.git.tree(repo.id, &commit, &path).await.ok(),
        Err(_) => None,
    };
    let known = known.and_then(|entries| entries.into_iter().next());
    match (&known, &put.sha) {
        (Some(_), None) => {
            return Err(ApiError::unprocessable("Invalid request.\n\n\"sha\" wasn't supplied."));
        }
        (Some(entry), Some(sha)) if entry.sha != *sha => {
            return Err(ApiError::Conflict(format!("{path} does not match {sha}")));
        }
        _ => {}
    }
    let change = FileChange { path: path.clone(), content: Some(content.clone()) };
    let sha = files::commit(&forge, &at, branch, &put.message, vec![change]).await?;
    let commit = forge.git.commit_of(repo.id, &sha).await?;
    let entries = forge.git.tree(repo.id, &sha, &path).await?;
    let entry = entries.first().ok_or(ApiError::NotFound)?;
    let value = forge.read(|view| {
        json!({
            "content": view.content(&repo, branch, entry, Some(&content)),
            "commit": view.file_commit(&repo, &commit),
        })
    });
    let status = if known.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(value)).into_response())
}
