//! `POST /auth/logout`: ends the session of this browser, with every token of its family.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use domain::ids::{PersonId, SessionId};
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;
use store::{
    StoreError,
    audit::{self, NewFlowEvent},
    sessions,
};

use super::{
    access, configured,
    cookies::{Cookies, Kind},
    origin,
    secret::hash,
};
use crate::{app::AppState, problem::Problem};

pub(super) async fn leave(State(state): State<AppState>, headers: HeaderMap) -> Result<Response, Problem> {
    let sign_in = configured(&state)?;
    origin::check(&Method::POST, &headers, sign_in.public_url())?;
    let (cookies, now) = (sign_in.cookies(), state.now());
    // Before anything is held: looking for a key takes a connection of its own.
    let found = signed_in(&state, cookies, &headers, now).await?;
    let mut tx = state.store().begin().await?;
    if let Some((session, person)) = found
        && sessions::revoke(&mut tx, session, "signed out", now).await?
    {
        let detail = json!({"session": session, "person": person});
        let actor = person.to_string();
        let event = NewFlowEvent::new(now, &actor, "session.signed_out", detail);
        audit::append(&mut tx, event).await?;
    }
    tx.commit().await.map_err(StoreError::from)?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    cookies.clear(response.headers_mut(), Kind::Refresh);
    cookies.clear(response.headers_mut(), Kind::Access);
    Ok(response)
}

/// Whose session it is. Either cookie is enough: the other may have died meanwhile.
async fn signed_in(
    state: &AppState,
    cookies: &Cookies,
    headers: &HeaderMap,
    now: DateTime<Utc>,
) -> Result<Option<(SessionId, PersonId)>, Problem> {
    if let Some(token) = cookies.read(Kind::Refresh, headers) {
        let found = sessions::by_token(&mut *state.store().acquire().await?, &hash(token)).await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    let Some(token) = cookies.read(Kind::Access, headers) else { return Ok(None) };
    match access::check(token, state.instance(), (state.store(), state.known_keys()), now).await {
        Ok(signed_in) => Ok(Some((signed_in.session, signed_in.person))),
        // What can't be judged now is not over.
        Err(problem) if problem.status.is_server_error() => Err(problem),
        Err(_) => Ok(None),
    }
}
