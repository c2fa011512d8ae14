//! What all uploads of runners have in common.

use http::{HeaderMap, header::CONTENT_LENGTH};
use store::blobs::PutError;

use crate::problem::Problem;

/// The length that the request announces.
pub(super) fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Why an upload was not stored.
pub(super) fn refused(error: PutError<axum::Error>, too_large: impl FnOnce() -> Problem) -> Problem {
    match error {
        PutError::TooLarge(_) => too_large(),
        PutError::Source(_) => Problem::bad_request("body_incomplete", "the body ended before its announced length"),
        PutError::Store(error) => error.into(),
    }
}
