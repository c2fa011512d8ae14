//! GitHub's REST paths: thin handlers that read a request, call an operation and show the result.

mod apps;
mod checks;
mod comments;
mod commits;
mod contents;
mod hooks;
mod issues;
mod labels;
mod listing;
mod meta;
mod pulls;
mod refs;
mod repos;
mod review_comments;
mod reviews;
mod users;

use axum::{
    Router,
    body::to_bytes,
    extract::{FromRequest, Request},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

pub(crate) use listing::Listing;
pub(crate) use meta::HOURLY_LIMIT;

use super::{error::ApiError, forge::Forge};

/// No request of GitHub's API is larger.
const MAX_BODY: usize = 40 * 1024 * 1024;

/// All REST routes.
pub(crate) fn router() -> Router<Forge> {
    Router::new()
        .merge(meta::router())
        .merge(users::router())
        .merge(apps::router())
        .merge(repos::router())
        .merge(issues::router())
        .merge(labels::router())
        .merge(comments::router())
        .merge(pulls::router())
        .merge(reviews::router())
        .merge(review_comments::router())
        .merge(commits::router())
        .merge(checks::router())
        .merge(contents::router())
        .merge(refs::router())
        .merge(hooks::router())
}

/// A JSON body; empty counts as `{}`, as many clients send nothing where everything is optional.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Forge> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &Forge) -> Result<Self, ApiError> {
        let bytes = to_bytes(request.into_body(), MAX_BODY).await.map_err(|_| ApiError::MalformedJson)?;
        let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|_| ApiError::MalformedJson)?;
        serde_json::from_value(value)
            .map(Self)
            .map_err(|error| ApiError::unprocessable(format!("Invalid request.\n\n{error}")))
    }
}

/// Does the client ask for that media type of GitHub, for instance `diff` or `raw`?
pub(crate) fn wants(headers: &HeaderMap, kind: &str) -> bool {
    let dotted = format!(".{kind}");
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|value| value.trim().split([';', '+']).next())
        .any(|media| media.starts_with("application/vnd.github") && media.ends_with(&dotted))
}

/// A created thing, with its address.
pub(crate) fn created(value: serde_json::Value) -> Response {
    let location = value["url"].as_str().map(str::to_owned);
    let mut response = (StatusCode::CREATED, axum::Json(value)).into_response();
    if let Some(location) = location.and_then(|url| url.parse().ok()) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Text under one of GitHub's media types.
pub(crate) fn text(kind: &str, bytes: Vec<u8>) -> Response {
    let media = format!("application/vnd.github.{kind}; charset=utf-8");
    ([(header::CONTENT_TYPE, media)], bytes).into_response()
}
