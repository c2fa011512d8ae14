//! `POST /api/v1/me/tokens`

use axum::Json;
use chrono::TimeDelta;
use domain::{people::Scope, sentences};
use http::{HeaderName, HeaderValue, StatusCode, header::CACHE_CONTROL};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{
    StoreError,
    api_tokens::{self, NewApiToken},
};
use utoipa::ToSchema;

use super::{super::body::Sent, list::ApiToken};
use crate::{
    auth::{Caller, api_token, hash},
    problem::Problem,
};

const MAX_NAME: usize = 100;
const MAX_DAYS: u16 = 366;

/// Most tokens of one person that work at a time.
const MAX_TOKENS: i64 = 50;

/// A token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct NewToken {
    /// What it is for.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// What it is cut to.
    #[schema(min_items = 1)]
    scopes: Vec<Scope>,
    /// How many days it lives.
    #[schema(minimum = 1, maximum = 366)]
    days: u16,
}

/// A token that was just made.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct MadeToken {
    /// To be kept now: it is never shown again.
    secret: String,
    token: ApiToken,
}

type Made = (StatusCode, [(HeaderName, HeaderValue); 1], Json<MadeToken>);

/// Make a token for scripts
///
/// Takes no `Idempotency-Key`: an answer that holds a secret is not kept.
#[utoipa::path(
    post, path = "/api/v1/me/tokens", tag = "me", request_body = NewToken,
    responses((status = 201, description = "The token, this once.", body = MadeToken))
)]
pub(in crate::api) async fn create_token(caller: Caller, Sent(new): Sent<NewToken>) -> Result<Made, Problem> {
    caller.in_person()?;
    let name = new.name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME {
        return Err(Problem::bad_request("name_invalid", sentences::token_name_invalid(MAX_NAME)));
    }
    if new.scopes.is_empty() {
        return Err(Problem::bad_request("scopes_missing", sentences::token_scopes_missing()));
    }
    if !(1..=MAX_DAYS).contains(&new.days) {
        return Err(Problem::bad_request("days_invalid", sentences::token_days_invalid(MAX_DAYS)));
    }
    let mut scopes = new.scopes;
    scopes.sort();
    scopes.dedup();
    let (now, mut tx) = (caller.now(), caller.store().begin().await?);
    if api_tokens::count_living(&mut tx, caller.person().id, now).await? >= MAX_TOKENS {
        let detail = sentences::too_many_tokens(MAX_TOKENS);
        return Err(Problem::new(StatusCode::CONFLICT, "too_many_tokens", detail));
    }
    let secret = api_token();
    let stored = api_tokens::insert(
        &mut tx,
        NewApiToken {
            person: caller.person().id,
            name,
            hash: &hash(&secret),
            scopes: &scopes,
            now,
            expires_at: now + TimeDelta::days(new.days.into()),
        },
    )
    .await?;
    caller.audit(&mut tx, "api_token.created", json!({"token": stored.id, "name": name, "scopes": scopes})).await?;
    tx.commit().await.map_err(StoreError::from)?;
    let made = MadeToken { secret, token: stored.into() };
    Ok((StatusCode::CREATED, [(CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(made)))
}
