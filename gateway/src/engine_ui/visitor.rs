//! Who opens a page of the engine's UI. A browser is no program: whose sign-in has to be renewed is led there and back.

use axum::response::{Html, IntoResponse, Redirect, Response};
use domain::people::PlatformRole;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY},
};
use url::{Url, form_urlencoded};

use super::PATH;
use crate::{
    app::AppState,
    auth::{Caller, is_guarded},
    console::wants_page,
};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The parts of a request that tell who asks.
pub(super) struct Visit<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    /// Whether it is a page that is asked for, and not something of the API.
    pub(super) page: bool,
    /// Whether it may change something.
    pub(super) writes: bool,
}

/// Who it is, if they run the platform.
///
/// # Errors
/// The answer for everybody else: the way to the sign-in for a person without one; 401, 403; the 404 of an address that there is not.
pub(super) async fn admit(state: &AppState, visit: &Visit<'_>) -> Result<Caller, Response> {
    let write = visit.writes || !visit.method.is_safe();
    let caller = match Caller::of_page(state, visit.headers, write).await {
        Ok(caller) => caller,
        Err(problem) if problem.status == StatusCode::UNAUTHORIZED && visit.may_be_led() => {
            return Err(way_to_sign_in(visit));
        }
        Err(problem) => return Err(problem.with_message().into_response()),
    };
    if !caller.person().role.includes(PlatformRole::Admin) {
        return Err(crate::problem::not_found().await.into_response());
    }
    Ok(caller)
}

impl Visit<'_> {
    /// Whether who asks follows where they are led: a person who opens a page; and what a page of ours asks for, be it one of its files, so
    /// that it goes on with a new token and notices nothing. A program is no browser, and gets a plain 401.
    fn may_be_led(&self) -> bool {
        let opens = self.page && wants_page(self.headers);
        let of_a_page = || self.site() == Some("same-origin") && is_guarded(&self.wanted());
        *self.method == Method::GET && !self.writes && (opens || of_a_page())
    }

    /// Where the browser says that the request comes from.
    fn site(&self) -> Option<&str> {
        self.headers.get(SEC_FETCH_SITE)?.to_str().ok()
    }

    /// Where they go on once they are signed in.
    fn wanted(&self) -> String {
        back_from_login(self.uri)
            .unwrap_or_else(|| self.uri.path_and_query().map_or(PATH, |path| path.as_str()).to_owned())
    }
}

fn way_to_sign_in(visit: &Visit<'_>) -> Response {
    let wanted = visit.wanted();
    if visit.site() == Some("cross-site") {
        return once_more(&wanted);
    }
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("return_to", &wanted).finish();
    let mut response = Redirect::to(&format!("/auth/renew?{query}")).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Somebody who comes from another site (GitHub, after a sign-in) brings no strict cookie along. A page of ours that leads to the
/// same address gets it.
fn once_more(wanted: &str) -> Response {
    let place: String = wanted
        .chars()
        .map(|c| match c {
            '&' => "&amp;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\'' => "&#39;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            other => other.to_string(),
        })
        .collect();
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"0;url={place}\">\
         <title>codex-k8s</title></head><body><p><a href=\"{place}\">Go on</a></p></body></html>\n"
    );
    let mut response = Html(page).into_response();
    let policy = HeaderValue::from_static("default-src 'none'; base-uri 'none'; frame-ancestors 'none'");
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Where the UI's own page of signing in would lead back to: it goes there when its sign-in is over, and ours takes its place.
pub(super) fn back_from_login(uri: &Uri) -> Option<String> {
    let page = uri.path().strip_prefix(PATH)?;
    if page != "/login" && !page.starts_with("/auth/") {
        return None;
    }
    let given = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let back = given.filter(|(name, _)| name == "returnUrl").find_map(|(_, back)| Url::parse(&back).ok());
    let own = back
        .filter(|back| back.path().starts_with("/ops/temporal/") && !back.path().starts_with("/ops/temporal/login"));
    Some(own.map_or_else(
        || format!("{PATH}/"),
        |back| back.query().map_or_else(|| back.path().to_owned(), |query| format!("{}?{query}", back.path())),
    ))
}

/// Leads on from the UI's own page of signing in.
pub(super) fn lead_on(to: &str) -> Response {
    Redirect::to(to).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_out_of_the_ui_by_its_login_page() {
        let back = |uri: &str| back_from_login(&uri.parse().unwrap());
        let led = |to: &str| {
            let query = form_urlencoded::Serializer::new(String::new()).append_pair("returnUrl", to).finish();
            back(&format!("/ops/temporal/login?{query}"))
        };
        assert_eq!(
            led("https://codex.example/ops/temporal/namespaces/default?a=b").as_deref(),
            Some("/ops/temporal/namespaces/default?a=b")
        );
        for elsewhere in
            ["https://evil.example/x", "/runs", "https://codex.example/ops/temporal/login", "javascript:alert(1)"]
        {
            assert_eq!(led(elsewhere).as_deref(), Some("/ops/temporal/"), "{elsewhere}");
        }
        assert_eq!(back("/ops/temporal/auth/sso").as_deref(), Some("/ops/temporal/"));
        assert_eq!(back("/ops/temporal/namespaces"), None);
    }
}
