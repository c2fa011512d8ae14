//! What callers send, read with our problems instead of axum's.

use axum::{
    body::to_bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
};
use domain::sentences;
use http::{StatusCode, header::CONTENT_TYPE, request::Parts};
use serde::de::DeserializeOwned;

use super::MAX_BODY;
use crate::problem::Problem;

/// A JSON body.
pub(super) struct Sent<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
            let detail = "send JSON, with the content type application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
        }
        let bytes = to_bytes(request.into_body(), MAX_BODY).await.map_err(|_| {
            let detail = sentences::body_over_limit(MAX_BODY / 1024);
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
        })?;
        // What does not fit, the caller sent themselves: it may be said.
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Problem::bad_request("body_invalid", sentences::body_does_not_fit(error)))
    }
}

/// What stands behind the question mark.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(asked) = Query::<T>::from_request_parts(parts, state).await.map_err(|refusal| {
            Problem::bad_request("query_invalid", sentences::query_does_not_fit(refusal.body_text()))
        })?;
        Ok(Self(asked))
    }
}

/// What stands in the path. What can't be an id is the id of nothing.
pub(super) struct At<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let missing = |_| Problem::new(StatusCode::NOT_FOUND, "not_found", sentences::nothing_here());
        let Path(at) = Path::<T>::from_request_parts(parts, state).await.map_err(missing)?;
        Ok(Self(at))
    }
}
