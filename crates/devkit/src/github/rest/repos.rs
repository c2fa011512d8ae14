//! Repositories and who may do what in them.

use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Body, Listing};
use crate::github::{
    access::{At, Need},
    error::ApiError,
    forge::Forge,
    ops::repos::{self, EditRepo},
    state::Role,
};

pub(super) fn router() -> Router<Forge> {
    Router::new()
        .route("/repos/{owner}/{repo}", get(one).patch(edit))
        .route("/repos/{owner}/{repo}/forks", post(fork))
        .route("/repos/{owner}/{repo}/collaborators", get(collaborators))
        .route(
            "/repos/{owner}/{repo}/collaborators/{login}",
            get(is_collaborator).put(add_collaborator).delete(remove_collaborator),
        )
        .route("/repos/{owner}/{repo}/collaborators/{login}/permission", get(permission))
}

#[derive(Deserialize)]
struct Login {
    login: String,
}

#[derive(Deserialize)]
struct Permission {
    permission: Option<String>,
}

async fn one(State(forge): State<Forge>, at: At) -> Result<Json<Value>, ApiError> {
    forge.read(|view| Ok(Json(view.full_repository(view.repo(&at, Need::Read)?, at.caller.0))))
}

async fn edit(State(forge): State<Forge>, at: At, Body(edit): Body<EditRepo>) -> Result<Json<Value>, ApiError> {
    let repo = repos::edit(&forge, &at, edit).await?;
    Ok(Json(forge.read(|view| view.full_repository(&repo, at.caller.0))))
}

async fn fork(State(forge): State<Forge>, at: At) -> Result<Response, ApiError> {
    let repo = repos::fork(&forge, &at).await?;
    let value = forge.read(|view| view.full_repository(&repo, at.caller.0));
    Ok((StatusCode::ACCEPTED, Json(value)).into_response())
}

fn with_role(mut user: Value, role: Option<Role>) -> Value {
    let has = |wanted: Role| role >= Some(wanted);
    user["permissions"] = json!({
        "admin": has(Role::Admin), "maintain": has(Role::Maintain), "push": has(Role::Write),
        "triage": has(Role::Triage), "pull": has(Role::Read),
    });
    user["role_name"] = role.map_or("none", Role::name).into();
    user
}

async fn permission(
    State(forge): State<Forge>,
    at: At,
    Path(Login { login }): Path<Login>,
) -> Result<Json<Value>, ApiError> {
    forge.read(|view| {
        let repo = view.repo(&at, Need::Read)?;
        let asker = at.caller.required()?;
        if view.model.role(Some(asker), repo) < Some(Role::Write) {
            return Err(ApiError::Forbidden("Must have push access to view collaborator permission.".into()));
        }
        let user = view.model.user(&login).ok_or(ApiError::NotFound)?.id;
        let role = view.model.role(Some(user), repo);
        Ok(Json(json!({
            "permission": role.map_or("none", Role::permission),
            "role_name": role.map_or("none", Role::name),
            "user": with_role(view.user(user), role),
        })))
    })
}

async fn collaborators(State(forge): State<Forge>, at: At, list: Listing) -> Result<Response, ApiError> {
    let items: Vec<Value> = forge.read(|view| {
        let repo = view.repo(&at, Need::Push)?;
        let people = repo.collaborators.keys();
        let shown = people.map(|id| with_role(view.user(*id), view.model.role(Some(*id), repo)));
        Ok::<_, ApiError>(shown.collect())
    })?;
    Ok(list.respond(&forge, &items))
}

async fn is_collaborator(
    State(forge): State<Forge>,
    at: At,
    Path(Login { login }): Path<Login>,
) -> Result<StatusCode, ApiError> {
    forge.read(|view| {
        let repo = view.repo(&at, Need::Push)?;
        let user = view.model.user(&login).ok_or(ApiError::NotFound)?.id;
        let known = repo.owner == user || repo.collaborators.contains_key(&user);
        if known { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::NotFound) }
    })
}

async fn add_collaborator(
    State(forge): State<Forge>,
    at: At,
    Path(Login { login }): Path<Login>,
    Body(wanted): Body<Permission>,
) -> Result<StatusCode, ApiError> {
    let role = match wanted.permission.as_deref() {
        Some("pull" | "read") => Role::Read,
        Some("triage") => Role::Triage,
        None | Some("push" | "write") => Role::Write,
        Some("maintain") => Role::Maintain,
        Some("admin") => Role::Admin,
        Some(_) => return Err(ApiError::invalid("Collaborator", "permission", "invalid")),
    };
    // There are no invitations here: everybody accepts at once, which GitHub answers without a body too.
    repos::set_collaborator(&forge, &at, &login, Some(role))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove_collaborator(
    State(forge): State<Forge>,
    at: At,
    Path(Login { login }): Path<Login>,
) -> Result<StatusCode, ApiError> {
    repos::set_collaborator(&forge, &at, &login, None)?;
    Ok(StatusCode::NO_CONTENT)
}
