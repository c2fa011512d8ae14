//! `POST /auth/logout`: ends the session of this browser, with every token of its family.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;
use store::{
    StoreError,
    audit::{self, NewFlowEvent},
    sessions,
};

use super::{access, configured, cookies::Kind, origin, secret::hash};
use crate::{app::AppState, problem::Problem};

pub(super) async fn leave(State(state): State<AppState>, headers: HeaderMap) -> Result<Response, Problem> {
    let sign_in = configured(&state)?;
    origin::check(&Method::POST, &headers, sign_in.public_url())?;
    let cookies = sign_in.cookies();
    let (now, mut tx) = (state.now(), state.store().begin().await?);
    // Either cookie is enough: the other may have died meanwhile.
    let mut found = None;
    if let Some(token) = cookies.read(Kind::Refresh, &headers) {
        found = sessions::by_token(&mut tx, &hash(token)).await?;
    }
    if let (None, Some(token)) = (found, cookies.read(Kind::Access, &headers)) {
        let checked = access::check(token, state.instance(), (state.store(), state.known_keys()), now).await;
        found = checked.ok().map(|signed_in| (signed_in.session, signed_in.person));
    }
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
