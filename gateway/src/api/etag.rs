//! Entity tags: who has the newest answer already is not sent it again, and nobody overwrites what they have not seen.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use domain::sentences;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, ETAG, IF_MATCH, IF_NONE_MATCH},
};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::problem::Problem;

/// The tag of an answer: it changes when the answer does.
fn tag(answer: &impl Serialize) -> String {
    let bytes = serde_json::to_vec(answer).unwrap_or_default();
    format!("\"{}\"", hex::encode(&Sha256::digest(bytes)[..12]))
}

/// The answer with its tag; 304 if the caller has it already.
pub(super) fn tagged(headers: &HeaderMap, answer: &impl Serialize) -> Response {
    let tag = tag(answer);
    let mut response = if names(headers, &IF_NONE_MATCH, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Json(answer).into_response()
    };
    if let Ok(value) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, value);
    }
    // Kept by the browser, and asked about each time.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

/// Refuses a change to something that is no longer as the caller saw it. Who sends no `If-Match` saw nothing.
///
/// # Errors
/// 412.
pub(super) fn unchanged(headers: &HeaderMap, current: &impl Serialize) -> Result<(), Problem> {
    if !headers.contains_key(IF_MATCH) || names(headers, &IF_MATCH, &tag(current)) {
        return Ok(());
    }
    let detail = sentences::changed_meanwhile();
    Err(Problem::new(StatusCode::PRECONDITION_FAILED, "changed_meanwhile", detail))
}

fn names(headers: &HeaderMap, header: &http::HeaderName, tag: &str) -> bool {
    let values = headers.get_all(header).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|one| matches!(one.trim().trim_start_matches("W/"), "*") || one.trim().trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: http::HeaderName, value: &str) -> HeaderMap {
        [(name, value.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn who_has_it_is_not_sent_it_again() {
        let first = tagged(&HeaderMap::new(), &[1, 2]);
        let tag = first.headers()[ETAG].to_str().unwrap().to_owned();
        assert_eq!(tagged(&with(IF_NONE_MATCH, &tag), &[1, 2]).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(
            tagged(&with(IF_NONE_MATCH, &format!("\"a\", W/{tag}")), &[1, 2]).status(),
            StatusCode::NOT_MODIFIED
        );
        assert_eq!(tagged(&with(IF_NONE_MATCH, &tag), &[1, 3]).status(), StatusCode::OK);
    }

    #[test]
    fn a_change_to_another_state_is_refused() {
        assert!(unchanged(&HeaderMap::new(), &1).is_ok());
        assert!(unchanged(&with(IF_MATCH, &tag(&1)), &1).is_ok());
        assert_eq!(unchanged(&with(IF_MATCH, &tag(&1)), &2).unwrap_err().code, "changed_meanwhile");
    }
}
