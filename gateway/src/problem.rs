//! Every answer that is not a success: `application/problem+json` with a stable `code`.
//!
//! What a caller may read is fixed here; what went wrong inside goes to the log. The layer in [`crate::requests`] adds
//! the request id, so that a caller can name the line of the log.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use domain::sentences::{self, Coded};
use http::{
    HeaderValue, StatusCode,
    header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER},
};
use serde::Serialize;

/// Media type of problems.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// An answer that is no success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// HTTP status.
    pub status: StatusCode,
    /// Stable word for programs.
    pub code: &'static str,
    /// A sentence for people: what is wrong and what helps.
    pub detail: String,
    /// Seconds after which it is worth trying again.
    pub retry_after: Option<u64>,
    /// Whether the sentence stands under `message`, too.
    pub(crate) with_message: bool,
}

#[derive(Serialize)]
struct Rendered<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail_coded: Option<Coded>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

impl Problem {
    /// A problem.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), retry_after: None, with_message: false }
    }

    /// 400: the request itself is wrong.
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401: who asks is not known.
    pub fn unauthorised(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
    }

    /// 503: not now.
    pub fn unavailable(code: &'static str, detail: impl Into<String>, retry_after: u64) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail);
        Self { retry_after: Some(retry_after), ..problem }
    }

    /// 500: our fault; the log says more.
    #[must_use]
    pub fn internal() -> Self {
        let detail = sentences::went_wrong();
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// The same for the programs of the engine's UI, which show what stands under `message`.
    #[must_use]
    pub(crate) fn with_message(self) -> Self {
        Self { with_message: true, ..self }
    }

    /// The whole answer.
    #[must_use]
    pub fn render(&self, request_id: &str) -> Response {
        let rendered = Rendered {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            detail_coded: sentences::read(&self.detail),
            code: self.code,
            request_id,
            message: self.with_message.then_some(self.detail.as_str()),
        };
        // A struct of text and a number always serialises; an empty body would still carry the status.
        let body = serde_json::to_vec(&rendered).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.render("");
        response.extensions_mut().insert(self);
        response
    }
}

impl From<store::StoreError> for Problem {
    fn from(error: store::StoreError) -> Self {
        match error {
            store::StoreError::Unavailable(source) => {
                tracing::warn!(error = %source, "Postgres does not answer");
                Self::unavailable("store_unavailable", sentences::database_away(), 5)
            }
            store::StoreError::Conflict { constraint } => {
                tracing::warn!(constraint, "two requests wanted the same at the same time");
                Self::unavailable("conflict", sentences::another_was_first(), 1)
            }
            other => {
                tracing::error!(error = %Chain(&other), "the store failed");
                Self::internal()
            }
        }
    }
}

/// An error with everything that caused it, on one line.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// Answer to an address that there is not.
pub(crate) async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", sentences::nothing_here())
}

/// Marks an answer that keeps its own form even if it is no success: one of somebody behind us, or a look at our own state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Foreign;

/// Gives an answer of axum's own (405, for instance) our form.
pub(crate) fn adopt(response: Response, request_id: &str) -> Response {
    if let Some(problem) = response.extensions().get::<Problem>() {
        let mut rendered = problem.render(request_id);
        // What else the handler had to say, such as cookies that are to go.
        let kept = response.headers().iter().filter(|(name, _)| **name != CONTENT_TYPE && **name != CONTENT_LENGTH);
        for (name, value) in kept.filter(|(name, _)| **name != RETRY_AFTER) {
            rendered.headers_mut().append(name, value.clone());
        }
        return rendered;
    }
    let status = response.status();
    if response.extensions().get::<Foreign>().is_some() {
        return response;
    }
    let ours = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == PROBLEM_JSON);
    if ours || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (code, detail) = match status {
        StatusCode::METHOD_NOT_ALLOWED => ("method_not_allowed", "this address does not know the method"),
        StatusCode::PAYLOAD_TOO_LARGE => ("body_too_large", "the body is too large"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ("unsupported_media_type", "send JSON with its content type"),
        _ => ("request_invalid", "the request can't be read"),
    };
    let mut adopted = Problem::new(status, code, detail).render(request_id);
    if let Some(allow) = response.headers().get(ALLOW) {
        adopted.headers_mut().insert(ALLOW, allow.clone());
    }
    adopted
}
