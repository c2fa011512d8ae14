//! `GET /auth/login`: sends a browser to GitHub.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, Query, State},
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, HeaderValue, header::CACHE_CONTROL};
use serde::Deserialize;

use super::{
    configured,
    cookies::Kind,
    shown,
    state::{Pending, SIGN_IN_LIFE},
};
use crate::app::AppState;

/// Where a person wants to go once they are signed in.
#[derive(Deserialize)]
pub(super) struct Wanted {
    pub(super) return_to: Option<String>,
}

pub(super) async fn begin(
    State(state): State<AppState>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Response {
    let sign_in = match configured(&state) {
        Ok(sign_in) => sign_in,
        Err(problem) => return shown(&state, &headers, problem),
    };
    if let Err(problem) = sign_in.admit_beginning(peer, &headers, state.now()) {
        return shown(&state, &headers, problem);
    }
    let pending = Pending::begin(wanted.return_to.as_deref(), state.now());
    let redirect = sign_in.address("/auth/callback");
    let target = sign_in.client().authorize_url(&redirect, &pending.state(), &pending.challenge());
    let mut response = Redirect::to(&target).into_response();
    let life = SIGN_IN_LIFE.to_std().unwrap_or_default();
    sign_in.cookies().set(response.headers_mut(), Kind::State, &pending.cookie(), life);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
