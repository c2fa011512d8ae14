//! Accounts.

use axum::{
    Json, Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use http::HeaderMap;
use serde_json::Value;

use super::{Body, Listing, created};
use crate::github::{
    access::{Caller, caller_of, token_of},
    error::ApiError,
    forge::Forge,
    ops::repos::{self, NewRepo},
    state::Role,
};

pub(super) fn router() -> Router<Forge> {
    Router::new()
        .route("/user", get(own))
        .route("/user/emails", get(own_emails))
        .route("/user/repos", get(own_repos).post(create_own_repo))
        .route("/users/{login}", get(one))
        .route("/users/{login}/repos", get(repos_of))
        .route("/orgs/{login}/repos", get(repos_of).post(create_org_repo))
}

async fn own(State(forge): State<Forge>, caller: Caller) -> Result<Json<Value>, ApiError> {
    let id = caller.required()?;
    forge.read(|view| {
        let user = view.model.users.get(&id).ok_or(ApiError::NotFound)?;
        Ok(Json(view.private_user(user)))
    })
}

async fn own_emails(State(forge): State<Forge>, headers: HeaderMap, list: Listing) -> Result<Response, ApiError> {
    let id = caller_of(&forge, &headers)?.required()?;
    let token = token_of(&headers)?.unwrap_or_default();
    let items: Vec<Value> = forge.read(|view| {
        let scopes = view.model.tokens.get(&token).and_then(|known| known.oauth_scopes.as_ref());
        let agreed = |scopes: &Vec<String>| scopes.iter().any(|scope| scope == "user" || scope == "user:email");
        if scopes.is_some_and(|scopes| !agreed(scopes)) {
            return Err(ApiError::NotFound);
        }
        let user = view.model.users.get(&id).ok_or(ApiError::NotFound)?;
        Ok(user.addresses.iter().map(|address| view.address(address)).collect())
    })?;
    Ok(list.respond(&forge, &items))
}

async fn one(State(forge): State<Forge>, _: Caller, Path(login): Path<String>) -> Result<Json<Value>, ApiError> {
    forge.read(|view| {
        let user = view.model.user(&login).ok_or(ApiError::NotFound)?;
        Ok(Json(view.public_user(user)))
    })
}

async fn own_repos(State(forge): State<Forge>, caller: Caller, list: Listing) -> Result<Response, ApiError> {
    let id = caller.required()?;
    let items: Vec<Value> = forge.read(|view| {
        let repos = view.model.repos.values();
        let own = repos.filter(|repo| repo.owner == id || repo.collaborators.contains_key(&id));
        own.map(|repo| view.repository(repo)).collect()
    });
    Ok(list.respond(&forge, &items))
}

async fn repos_of(
    State(forge): State<Forge>,
    caller: Caller,
    Path(login): Path<String>,
    list: Listing,
) -> Result<Response, ApiError> {
    let items: Vec<Value> = forge.read(|view| {
        let owner = view.model.user(&login).ok_or(ApiError::NotFound)?.id;
        let repos = view.model.repos.values().filter(|repo| repo.owner == owner);
        let visible = repos.filter(|repo| view.model.role(caller.0, repo).is_some());
        Ok::<_, ApiError>(visible.map(|repo| view.repository(repo)).collect())
    })?;
    Ok(list.respond(&forge, &items))
}

async fn create_own_repo(
    State(forge): State<Forge>,
    caller: Caller,
    Body(new): Body<NewRepo>,
) -> Result<Response, ApiError> {
    let id = caller.required()?;
    let login = forge.read(|view| view.model.users.get(&id).map(|user| user.login.clone()));
    let repo = repos::create(&forge, &login.ok_or(ApiError::NotFound)?, new).await?;
    Ok(created(forge.read(|view| view.full_repository(&repo, caller.0))))
}

async fn create_org_repo(
    State(forge): State<Forge>,
    caller: Caller,
    Path(login): Path<String>,
    Body(new): Body<NewRepo>,
) -> Result<Response, ApiError> {
    let id = caller.required()?;
    // Membership is not modelled: whoever administers one of its repositories may add another.
    let member = forge.read(|view| {
        let owner = view.model.user(&login).ok_or(ApiError::NotFound)?.id;
        let mut repos = view.model.repos.values().filter(|repo| repo.owner == owner);
        Ok::<_, ApiError>(repos.any(|repo| view.model.role(Some(id), repo) == Some(Role::Admin)))
    })?;
    if !member {
        return Err(ApiError::no_right());
    }
    let repo = repos::create(&forge, &login, new).await?;
    forge.write(|tx| {
        tx.repo_mut(repo.id)?.collaborators.insert(id, Role::Admin);
        Ok(())
    })?;
    Ok(created(forge.read(|view| view.full_repository(&repo, caller.0))))
}
