//! Answers to calls that are not made, in the form of the model API: what calls it reads nothing else.
//!
//! An empty account is how the API itself says that there is no more money. Codex takes it for the end of its turn and does not
//! try again, which it does with most other refusals (402, 403, 503); so does 400 for what it may not have.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use domain::model::{ModelStop, Stopped};
use http::StatusCode;
use serde_json::json;

use crate::problem::Foreign;

/// The status that a stopped call is answered with.
pub(super) const fn status(stop: ModelStop) -> StatusCode {
    match stop {
        ModelStop::Budget | ModelStop::OutputCut => StatusCode::TOO_MANY_REQUESTS,
        ModelStop::NotAllowed | ModelStop::Unpriced | ModelStop::Unserved => StatusCode::BAD_REQUEST,
    }
}

/// The answer to a stopped call.
pub(super) fn answer(stopped: &Stopped) -> Response {
    let code = match stopped.stop {
        ModelStop::Budget | ModelStop::OutputCut => "insufficient_quota",
        ModelStop::NotAllowed => "model_not_allowed",
        ModelStop::Unpriced => "model_unpriced",
        ModelStop::Unserved => "model_not_found",
    };
    let body = json!({ "error": { "message": stopped.problem, "type": code, "code": code, "param": null } });
    (status(stopped.stop), axum::Extension(Foreign), Json(body)).into_response()
}
