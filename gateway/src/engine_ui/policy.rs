//! What the pages of the engine's UI may do in a browser in which somebody is signed in.
//!
//! They share their origin with the console. They may run what the UI brought along and ask what is below its own path, and
//! nothing else: what somebody wrote into a workflow must not become a program that acts in the name of who looks at it.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS},
};
use sha2::{Digest, Sha256};
use url::Url;

use super::PATH;

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Guards an answer of the UI; `page` is its text if it is a page.
pub(super) fn protect(headers: &mut HeaderMap, public_url: &Url, page: Option<&str>) {
    let scripts = page.map(inline_scripts).unwrap_or_default();
    // Beside a policy of its own: browsers then hold to both.
    if let Ok(policy) = HeaderValue::try_from(policy(public_url, &scripts)) {
        headers.append(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    if page.is_some() {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

fn policy(public_url: &Url, scripts: &[String]) -> String {
    let own = format!("{}{PATH}/", public_url.origin().ascii_serialization());
    let hashes: String = scripts.iter().map(|hash| format!(" 'sha256-{hash}'")).collect();
    format!(
        "default-src 'none'; script-src {own}{hashes}; style-src {own} 'unsafe-inline'; img-src {own} data:; \
         font-src {own} data:; connect-src {own}; worker-src {own}; frame-src {own}; manifest-src {own}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )
}

/// Hashes of the programs that stand in the page itself, as the UI's server sent it: SvelteKit begins with one.
fn inline_scripts(page: &str) -> Vec<String> {
    let mut hashes = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once("<script") {
        let Some((tag, after)) = after.split_once('>') else { break };
        let Some((text, after)) = after.split_once("</script>") else { break };
        if !tag.contains("src=") && !text.is_empty() {
            hashes.push(BASE64_STANDARD.encode(Sha256::digest(text)));
        }
        rest = after;
    }
    hashes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_page_came_with_may_run() {
        let page = "<head><script src=\"/a.js\"></script></head><script>alert(1)</script><script></script>";
        let expected = BASE64_STANDARD.encode(Sha256::digest("alert(1)"));
        assert_eq!(inline_scripts(page).join(" "), expected);
        let mut headers = HeaderMap::new();
        protect(&mut headers, &"https://codex.example/".parse().unwrap(), Some(page));
        let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        let scripts = format!("script-src https://codex.example/ops/temporal/ 'sha256-{expected}';");
        assert!(policy.contains(&scripts), "{policy}");
        assert!(policy.contains("connect-src https://codex.example/ops/temporal/;"), "{policy}");
        assert!(!policy.contains("'self';") || policy.ends_with("frame-ancestors 'self'"), "{policy}");
        assert_eq!(headers[CACHE_CONTROL], "no-store");
    }

    #[test]
    fn a_page_that_ends_too_early_is_no_trouble() {
        for page in ["<script", "<script>", "<script>a", ""] {
            assert!(inline_scripts(page).is_empty(), "{page}");
        }
    }
}
