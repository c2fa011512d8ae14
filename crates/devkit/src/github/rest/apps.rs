//! Apps and their installations.

use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Body;
use crate::github::{
    access::{caller_of, token_of},
    assertions::SignedBy,
    error::ApiError,
    forge::Forge,
    ops::apps::{self, Cut},
};

pub(super) fn router() -> Router<Forge> {
    Router::new()
        .route("/app", get(own))
        .route("/app/installations/{installation}", get(installation))
        .route("/app/installations/{installation}/access_tokens", post(mint))
        .route("/repos/{owner}/{repo}/installation", get(of_repository))
        .route("/installation/repositories", get(repositories))
}

#[derive(Deserialize)]
struct OfRepository {
    owner: String,
    repo: String,
}

async fn own(State(forge): State<Forge>, SignedBy(app): SignedBy) -> Result<Json<Value>, ApiError> {
    forge.read(|view| Ok(Json(view.app(view.model.apps.get(&app).ok_or(ApiError::NotFound)?))))
}

async fn installation(
    State(forge): State<Forge>,
    SignedBy(app): SignedBy,
    Path(id): Path<u64>,
) -> Result<Json<Value>, ApiError> {
    forge.read(|view| {
        let known = view.model.installations.get(&id).filter(|known| known.app == app);
        Ok(Json(view.installation(known.ok_or(ApiError::NotFound)?)))
    })
}

async fn of_repository(
    State(forge): State<Forge>,
    SignedBy(app): SignedBy,
    Path(OfRepository { owner, repo }): Path<OfRepository>,
) -> Result<Json<Value>, ApiError> {
    forge.read(|view| {
        let repo = view.model.repo(&owner, &repo).ok_or(ApiError::NotFound)?;
        let mut all = view.model.installations.values();
        let known = all.find(|known| known.app == app && known.covers(repo));
        Ok(Json(view.installation(known.ok_or(ApiError::NotFound)?)))
    })
}

async fn mint(
    State(forge): State<Forge>,
    SignedBy(app): SignedBy,
    Path(installation): Path<u64>,
    Body(cut): Body<Cut>,
) -> Result<Response, ApiError> {
    let minted = apps::mint(&forge, app, installation, cut)?;
    let value = forge.read(|view| view.installation_token(&minted));
    Ok((StatusCode::CREATED, Json(value)).into_response())
}

async fn repositories(State(forge): State<Forge>, headers: HeaderMap) -> Result<Json<Value>, ApiError> {
    caller_of(&forge, &headers)?.required()?;
    let token = token_of(&headers)?.unwrap_or_default();
    forge.read(|view| {
        let grant = view.model.tokens.get(&token).and_then(|token| token.grant.as_ref());
        let installation = grant.and_then(|grant| view.model.installations.get(&grant.installation?));
        let (Some(grant), Some(installation)) = (grant, installation) else {
            let message = "You must authenticate with an installation access token in order to list repositories for an installation.";
            return Err(ApiError::Forbidden(message.into()));
        };
        let all = view.model.repos.values().filter(|repo| installation.covers(repo) && grant.covers(repo.id));
        let items: Vec<Value> = all.map(|repo| view.repository(repo)).collect();
        let selection = if grant.repos.is_some() { "selected" } else { "all" };
        Ok(Json(json!({ "total_count": items.len(), "repositories": items, "repository_selection": selection })))
    })
}
