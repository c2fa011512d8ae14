//! `POST /auth/refresh`: a refresh token is given for a new one, and for a new access token.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use domain::{
    ids::{PersonId, SessionId},
    sentences,
};
use http::{HeaderMap, HeaderValue, Method, header::CACHE_CONTROL};
use serde_json::json;
use store::{
    StoreError,
    audit::{self, NewFlowEvent},
    people,
    sessions::{self, Exchange, Exchanged},
};

use super::{
    ACCESS_LIFE, REFRESH_GRACE, SESSION_IDLE, access, configured,
    cookies::Kind,
    keys, origin,
    secret::{hash, random},
};
use crate::{
    app::AppState,
    problem::{Chain, Problem},
};

pub(super) async fn refresh(State(state): State<AppState>, headers: HeaderMap) -> Response {
    match refreshed(&state, &headers).await {
        Ok(response) => response,
        Err(problem) => {
            let over = problem.status == http::StatusCode::UNAUTHORIZED;
            let mut response = problem.into_response();
            if let Some(sign_in) = state.sign_in().filter(|_| over) {
                sign_in.cookies().clear(response.headers_mut(), Kind::Refresh);
                sign_in.cookies().clear(response.headers_mut(), Kind::Access);
            }
            response
        }
    }
}

async fn refreshed(state: &AppState, headers: &HeaderMap) -> Result<Response, Problem> {
    origin::check(&Method::POST, headers, configured(state)?.public_url())?;
    let (until, cookies) = renewed(state, headers).await?;
    let mut response = Json(json!({"expires_at": until})).into_response();
    response.headers_mut().extend(cookies);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// New tokens for the refresh token that came: the end of the access token, and both as cookies.
///
/// # Errors
/// 401 if nobody is signed in there any more; 503 if the database does not answer.
pub(super) async fn renewed(state: &AppState, headers: &HeaderMap) -> Result<(DateTime<Utc>, HeaderMap), Problem> {
    let sign_in = configured(state)?;
    let signed_out = || Problem::unauthorised("signed_out", sentences::nobody_signed_in_here());
    let old = sign_in.cookies().read(Kind::Refresh, headers).ok_or_else(signed_out)?;
    let new = random();
    let (person, session) = exchange(state, old, &new).await?;
    let mut cookies = HeaderMap::new();
    let until = hand_out(state, (person, session), &new, &mut cookies).await?;
    Ok((until, cookies))
}

async fn exchange(state: &AppState, old: &str, new: &str) -> Result<(PersonId, SessionId), Problem> {
    let (now, mut tx) = (state.now(), state.store().begin().await?);
    let (old, new) = (hash(old), hash(new));
    let wish = Exchange { old: &old, new: &new, grace: REFRESH_GRACE, idle: SESSION_IDLE, now };
    let exchanged = sessions::exchange(&mut tx, wish).await?;
    let over = || Problem::unauthorised("session_over", sentences::sign_in_over());
    let outcome = match exchanged {
        Exchanged::Unknown => Err(over()),
        Exchanged::Reused { session, person } => {
            tracing::warn!(%session, %person, "a used refresh token came again: its session is ended");
            let detail = json!({"session": session, "person": person});
            let event = NewFlowEvent::new(now, "gateway", "session.reuse_detected", detail);
            audit::append(&mut tx, event).await?;
            Err(over())
        }
        Exchanged::Done { session, person } => {
            let known = people::get(&mut tx, person).await?;
            if known.is_some_and(|person| person.disabled_at.is_none()) { Ok((person, session)) } else { Err(over()) }
        }
    };
    // What was found out about a stolen token stays.
    tx.commit().await.map_err(StoreError::from)?;
    outcome
}

/// Sets both cookies; gives the end of the access token.
///
/// # Errors
/// 500 if there is no key to sign with, 503 if the database does not answer.
pub(super) async fn hand_out(
    state: &AppState,
    who: (PersonId, SessionId),
    refresh_token: &str,
    headers: &mut HeaderMap,
) -> Result<DateTime<Utc>, Problem> {
    let sign_in = configured(state)?;
    let now = state.now();
    let signer = keys::signer(state.store(), state.key(), now).await.map_err(|trouble| match trouble {
        keys::KeyTrouble::Store(error) => error.into(),
        other => {
            tracing::error!(error = %Chain(&other), "nobody can be signed in");
            Problem::internal()
        }
    })?;
    let (token, until) = access::issue(&signer, state.instance(), who, now).map_err(|error| {
        tracing::error!(%error, "an access token could not be signed");
        Problem::internal()
    })?;
    let cookies = sign_in.cookies();
    cookies.set(headers, Kind::Access, &token, ACCESS_LIFE.to_std().unwrap_or_default());
    cookies.set(headers, Kind::Refresh, refresh_token, SESSION_IDLE.to_std().unwrap_or_default());
    Ok(until)
}
