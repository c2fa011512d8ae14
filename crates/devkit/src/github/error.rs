//! Refusals in the shape in which GitHub words them.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::git::GitError;

const DOCUMENTATION: &str = "https://docs.github.com/rest";

/// Why the stand-in refused a request.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The body is not JSON.
    #[error("Problems parsing JSON")]
    MalformedJson,
    /// A token was sent that nobody has.
    #[error("Bad credentials")]
    BadCredentials,
    /// An App's signature that does not count.
    #[error("{0}")]
    BadAssertion(String),
    /// The operation needs a person and none was named.
    #[error("Requires authentication")]
    RequiresAuthentication,
    /// The person is known and may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// It does not exist, or the person may not know that it does.
    #[error("Not Found")]
    NotFound,
    /// The state does not allow it now.
    #[error("{0}")]
    Conflict(String),
    /// The merge is not possible.
    #[error("{0}")]
    NotMergeable(String),
    /// The request is understood and wrong.
    #[error("{message}")]
    Invalid {
        /// The sentence at the top.
        message: String,
        /// The entries, objects or plain strings as the endpoint has them.
        errors: Vec<Value>,
    },
    /// Git failed in a way that no request should cause.
    #[error("git failed")]
    Git(#[source] GitError),
    /// The stand-in itself is broken.
    #[error("{0}")]
    Internal(String),
}

impl ApiError {
    /// "Validation Failed" with one coded entry.
    pub(crate) fn invalid(resource: &str, field: &str, code: &str) -> Self {
        Self::Invalid {
            message: "Validation Failed".into(),
            errors: vec![json!({"resource": resource, "field": field, "code": code})],
        }
    }

    /// "Validation Failed" with one entry that has a sentence of its own.
    pub(crate) fn custom(resource: &str, field: &str, message: &str) -> Self {
        Self::Invalid {
            message: "Validation Failed".into(),
            errors: vec![json!({"resource": resource, "field": field, "code": "custom", "message": message})],
        }
    }

    /// A sentence alone.
    pub(crate) fn unprocessable(message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), errors: Vec::new() }
    }

    /// A missing right, worded as for fine-grained tokens.
    pub(crate) fn no_right() -> Self {
        Self::Forbidden("Resource not accessible by personal access token".into())
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::MalformedJson => StatusCode::BAD_REQUEST,
            Self::BadCredentials | Self::BadAssertion(_) | Self::RequiresAuthentication => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::NotMergeable(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Git(_) | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<GitError> for ApiError {
    fn from(error: GitError) -> Self {
        match error {
            GitError::NoSuchObject(_) => Self::NotFound,
            other => Self::Git(other),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::error!(error = %self, source = ?std::error::Error::source(&self), "the stand-in for GitHub failed");
        }
        let mut body = json!({
            "message": self.to_string(),
            "documentation_url": DOCUMENTATION,
            "status": status.as_str(),
        });
        if let Self::Invalid { errors, .. } = &self
            && !errors.is_empty()
        {
            body["errors"] = json!(errors);
        }
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"GitHub\""));
        }
        response
    }
}
