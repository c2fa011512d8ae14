//! `GET /api/v1/me/sessions`

use axum::Json;
use chrono::{DateTime, Utc};
use domain::ids::SessionId;
use serde::Serialize;
use store::sessions;
use utoipa::ToSchema;

use super::super::paging::Page;
use crate::{
    auth::{Caller, Via},
    problem::Problem,
};

/// One sign-in of one browser.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Session {
    id: SessionId,
    /// Whether it is the one that asks.
    current: bool,
    /// What the browser calls itself.
    user_agent: Option<String>,
    created_at: DateTime<Utc>,
    /// When it was last refreshed.
    last_used_at: DateTime<Utc>,
    /// When it ends, however much it is used.
    expires_at: DateTime<Utc>,
}

/// Where you are signed in, the one used last first
#[utoipa::path(
    get, path = "/api/v1/me/sessions", tag = "me",
    responses((status = 200, description = "All of them, on one page.", body = Page<Session>))
)]
pub(in crate::api) async fn list_sessions(caller: Caller) -> Result<Json<Page<Session>>, Problem> {
    let known = sessions::list(&mut *caller.store().acquire().await?, caller.person().id, caller.now()).await?;
    let own = match caller.via() {
        Via::Session { id, .. } => Some(*id),
        Via::ApiToken { .. } => None,
    };
    let shown = |session: sessions::Session| Session {
        id: session.id,
        current: Some(session.id) == own,
        user_agent: session.user_agent,
        created_at: session.created_at,
        last_used_at: session.last_used_at,
        expires_at: session.expires_at,
    };
    Ok(Json(Page { items: known.into_iter().map(shown).collect(), next: None }))
}
