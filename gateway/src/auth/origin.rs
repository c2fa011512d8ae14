//! Where a request with cookies comes from: writes of other sites are refused.

use http::{HeaderMap, HeaderName, Method, StatusCode, header::ORIGIN};
use url::Url;

use crate::problem::Problem;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses a write that does not come from our own pages. A browser says where a write comes from; who says nothing is no browser,
/// and has no cookies to use by mistake, but could be made to look like one: it is refused as well.
///
/// # Errors
/// 403.
pub(crate) fn check(method: &Method, headers: &HeaderMap, public_url: &Url) -> Result<(), Problem> {
    if method.is_safe() {
        return Ok(());
    }
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let ours = match text(&ORIGIN) {
        Some(origin) => origin == public_url.origin().ascii_serialization(),
        None => text(&SEC_FETCH_SITE) == Some("same-origin"),
    };
    if ours {
        return Ok(());
    }
    let detail = format!(
        "this write does not come from the platform's own pages: send `Origin: {}`, or use a token for scripts",
        public_url.origin().ascii_serialization()
    );
    Err(Problem::new(StatusCode::FORBIDDEN, "origin_forbidden", detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_write() {
        let url: Url = "https://codex.example/".parse().unwrap();
        let ask = |method: Method, given: &[(&'static str, &str)]| {
            let headers =
                given.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
            check(&method, &headers, &url).is_ok()
        };
        assert!(ask(Method::GET, &[("origin", "https://evil.example")]));
        assert!(ask(Method::POST, &[("origin", "https://codex.example")]));
        assert!(ask(Method::POST, &[("sec-fetch-site", "same-origin")]));
        for wrong in [
            &[("origin", "https://evil.example")][..],
            &[("origin", "null")],
            &[("origin", "http://codex.example")],
            &[("origin", "https://codex.example.evil.example")],
            &[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "cross-site")],
            &[],
        ] {
            assert!(!ask(Method::DELETE, wrong), "{wrong:?}");
        }
    }
}
