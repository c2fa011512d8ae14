//! `GET /auth/renew`: a page that the gateway guards, or a file or question of one, was asked for after the access token had ended. Whoever
//! is still signed in gets a new one and is led back; other people are led to the sign-in, and from there back. What a page asks for in
//! passing is told that nobody is signed in.
//!
//! The refresh token is read here and nowhere else: it is sent to the addresses of sign-in alone, and by no link of another site.

use axum::{
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header::CACHE_CONTROL};
use url::form_urlencoded;

use super::{configured, login::Wanted, refresh::renewed, shown, state::is_local};
use crate::{app::AppState, console::wants_page, engine_ui};

pub(super) async fn renew(State(state): State<AppState>, headers: HeaderMap, Query(wanted): Query<Wanted>) -> Response {
    let mut response = match configured(&state) {
        Err(problem) => shown(&state, &headers, problem),
        Ok(sign_in) => {
            let to = wanted.return_to.filter(|path| is_guarded(path)).unwrap_or_else(|| "/".to_owned());
            match renewed(&state, &headers).await {
                Ok((_, cookies)) => {
                    let mut response = Redirect::to(&sign_in.address(&to)).into_response();
                    response.headers_mut().extend(cookies);
                    response
                }
                Err(problem) if problem.status == StatusCode::UNAUTHORIZED && wants_page(&headers) => {
                    // No cookie is taken away: a link of another site leads here without them.
                    let query = form_urlencoded::Serializer::new(String::new()).append_pair("to", &to).finish();
                    Redirect::to(&sign_in.address(&format!("/sign-in?{query}"))).into_response()
                }
                Err(problem) => problem.with_message().into_response(),
            }
        }
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Whether the gateway itself asks there who somebody is; pages of the console do that on their own.
pub(crate) fn is_guarded(path: &str) -> bool {
    is_local(path)
        && path.strip_prefix(engine_ui::PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_gateway_guards_is_led_back_to() {
        assert!(is_guarded("/ops/temporal") && is_guarded("/ops/temporal/namespaces/default?a=b"));
        for other in
            ["/", "/runs", "/auth/renew?return_to=/", "//evil.example/ops/temporal", "/ops/temporalx", "https://x"]
        {
            assert!(!is_guarded(other), "{other}");
        }
    }
}
