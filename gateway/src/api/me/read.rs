//! `GET /api/v1/me`

use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::{
    ids::{ApiTokenId, PersonId, SessionId},
    people::{Email, Language, PlatformRole, ProjectRole, Scope, Theme},
};
use http::HeaderMap;
use serde::Serialize;
use store::{
    members::{self, ProjectsPage},
    operator_grants,
};
use utoipa::ToSchema;

use super::super::etag::tagged;
use crate::{
    auth::{Caller, Via},
    engine_ui,
    problem::Problem,
};

/// Most projects that are named; all of them are in the list of projects.
const MAX_PROJECTS: i64 = 200;

/// Who is signed in, and what they may do.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Me {
    pub(in crate::api) id: PersonId,
    pub(in crate::api) email: Email,
    /// Login on GitHub.
    pub(in crate::api) login: Option<String>,
    /// Name on GitHub.
    pub(in crate::api) name: Option<String>,
    /// Role on the platform.
    pub(in crate::api) role: PlatformRole,
    /// None: as the browser asks for it.
    pub(in crate::api) language: Option<Language>,
    pub(in crate::api) theme: Theme,
    /// The projects they are a member of (the first 200 by name).
    pub(in crate::api) projects: Vec<Membership>,
    pub(in crate::api) signed_in_with: SignedInWith,
    /// The engine's own web UI, for those who may open it, where there is one.
    pub(in crate::api) engine_ui: Option<EngineUi>,
}

/// The engine's own web UI.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct EngineUi {
    /// Where it is on this host.
    path: &'static str,
    /// The engine's namespace of this platform.
    namespace: String,
    /// Whether they may change things there.
    writes: bool,
}

/// A project and the caller's role in it.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Membership {
    /// The project's short name.
    project: String,
    role: ProjectRole,
}

/// How the caller showed who they are.
#[derive(Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(in crate::api) enum SignedInWith {
    /// A browser's sign-in.
    Session {
        session: SessionId,
        /// Refresh before this time.
        until: DateTime<Utc>,
    },
    /// A token for scripts.
    ApiToken {
        token: ApiTokenId,
        scopes: Vec<Scope>,
        /// When it ends.
        until: DateTime<Utc>,
    },
}

/// Who is signed in, and what they may do
#[utoipa::path(get, path = "/api/v1/me", tag = "me", responses((status = 200, description = "The caller.", body = Me)))]
pub(in crate::api) async fn me(caller: Caller, headers: HeaderMap) -> Result<Response, Problem> {
    Ok(tagged(&headers, &shown(&caller).await?))
}

/// The caller as they see themselves.
///
/// # Errors
/// 503 if the database does not answer.
pub(in crate::api) async fn shown(caller: &Caller) -> Result<Me, Problem> {
    let person = caller.person();
    let page = ProjectsPage { person: person.id, all: false, after: None, limit: MAX_PROJECTS };
    let projects = members::projects(&mut *caller.store().acquire().await?, page).await?;
    let member = |project: members::SeenProject| Some(Membership { project: project.slug, role: project.role? });
    let engine_ui = engine_ui(caller).await?;
    Ok(Me {
        id: person.id,
        email: person.email.clone(),
        login: person.login.clone(),
        name: person.name.clone(),
        role: person.role,
        language: person.language,
        theme: person.theme,
        projects: projects.into_iter().filter_map(member).collect(),
        signed_in_with: match caller.via().clone() {
            Via::Session { id, until } => SignedInWith::Session { session: id, until },
            Via::ApiToken { id, scopes, until } => SignedInWith::ApiToken { token: id, scopes, until },
        },
        engine_ui,
    })
}

async fn engine_ui(caller: &Caller) -> Result<Option<EngineUi>, Problem> {
    let app = caller.app();
    if !caller.sees_all() || app.engine_ui().is_none() {
        return Ok(None);
    }
    let grant = operator_grants::of(&mut *caller.store().acquire().await?, caller.person().id).await?;
    let namespace = app.dispatcher().engine().settings().namespace.clone();
    Ok(Some(EngineUi { path: engine_ui::PATH, namespace, writes: grant.is_some() }))
}
