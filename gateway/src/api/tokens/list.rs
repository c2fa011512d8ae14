//! `GET /api/v1/me/tokens`

use axum::Json;
use chrono::{DateTime, Utc};
use domain::{ids::ApiTokenId, people::Scope};
use serde::Serialize;
use store::api_tokens;
use utoipa::ToSchema;

use super::super::paging::Page;
use crate::{auth::Caller, problem::Problem};

/// A token for scripts. The token itself is shown once, when it is made.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct ApiToken {
    pub(in crate::api) id: ApiTokenId,
    /// What it is for.
    pub(in crate::api) name: String,
    pub(in crate::api) scopes: Vec<Scope>,
    pub(in crate::api) created_at: DateTime<Utc>,
    pub(in crate::api) expires_at: DateTime<Utc>,
    /// To the minute.
    pub(in crate::api) last_used_at: Option<DateTime<Utc>>,
    pub(in crate::api) revoked_at: Option<DateTime<Utc>>,
}

impl From<api_tokens::ApiToken> for ApiToken {
    fn from(token: api_tokens::ApiToken) -> Self {
        Self {
            id: token.id,
            name: token.name,
            scopes: token.scopes,
            created_at: token.created_at,
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
            revoked_at: token.revoked_at,
        }
    }
}

/// Your tokens for scripts, the newest first
#[utoipa::path(
    get, path = "/api/v1/me/tokens", tag = "me",
    responses((status = 200, description = "The newest 200, on one page.", body = Page<ApiToken>))
)]
pub(in crate::api) async fn list_tokens(caller: Caller) -> Result<Json<Page<ApiToken>>, Problem> {
    let known = api_tokens::list(&mut *caller.store().acquire().await?, caller.person().id).await?;
    Ok(Json(Page { items: known.into_iter().map(ApiToken::from).collect(), next: None }))
}
