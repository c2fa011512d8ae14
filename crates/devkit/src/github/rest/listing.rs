//! Lists in pages, with the `Link` header.

use std::convert::Infallible;

use axum::{
    Json,
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use http::{HeaderValue, header, request::Parts};
use serde_json::Value;
use url::form_urlencoded;

use crate::github::{error::ApiError, forge::Forge};

const DEFAULT_PAGE: usize = 30;
const MAX_PAGE: usize = 100;

/// The query of a list.
pub(crate) struct Listing {
    path: String,
    pairs: Vec<(String, String)>,
}

impl<S: Sync> FromRequestParts<S> for Listing {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self {
            path: parts.uri.path().to_owned(),
            pairs: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        })
    }
}

impl Listing {
    /// One parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let pair = self.pairs.iter().find(|(key, value)| key == name && !value.is_empty())?;
        Some(&pair.1)
    }

    /// The `since` parameter.
    pub(crate) fn since(&self) -> Result<Option<DateTime<Utc>>, ApiError> {
        self.get("since")
            .map(|text| {
                DateTime::parse_from_rfc3339(text)
                    .map(|at| at.with_timezone(&Utc))
                    .map_err(|_| ApiError::unprocessable("since is not a valid ISO 8601 timestamp"))
            })
            .transpose()
    }

    /// Should the newest come last, where the endpoint itself has no other default?
    pub(crate) fn ascending(&self, default: bool) -> bool {
        self.get("direction").map_or(default, |direction| direction == "asc")
    }

    fn number(&self, name: &str, default: usize) -> usize {
        self.get(name).and_then(|text| text.parse().ok()).filter(|number| *number > 0).unwrap_or(default)
    }

    /// The range of items of this page.
    pub(crate) fn window(&self, total: usize) -> std::ops::Range<usize> {
        let size = self.number("per_page", DEFAULT_PAGE).min(MAX_PAGE);
        let start = (self.number("page", 1) - 1).saturating_mul(size).min(total);
        start..(start.saturating_add(size)).min(total)
    }

    /// Cuts the asked page out of all items and links to the others.
    pub(crate) fn respond(&self, forge: &Forge, items: &[Value]) -> Response {
        let page = items.get(self.window(items.len())).unwrap_or_default();
        let mut response = Json(page).into_response();
        self.link(forge, items.len(), &mut response);
        response
    }

    /// Adds the `Link` header for a list of that many items.
    pub(crate) fn link(&self, forge: &Forge, total: usize, response: &mut Response) {
        let size = self.number("per_page", DEFAULT_PAGE).min(MAX_PAGE);
        let page = self.number("page", 1);
        let last = total.div_ceil(size).max(1);
        let mut links = Vec::new();
        if page > 1 {
            links.push(self.to(forge, page - 1, "prev"));
            links.push(self.to(forge, 1, "first"));
        }
        if page < last {
            links.push(self.to(forge, page + 1, "next"));
            links.push(self.to(forge, last, "last"));
        }
        if let Ok(value) = HeaderValue::try_from(links.join(", "))
            && !links.is_empty()
        {
            response.headers_mut().insert(header::LINK, value);
        }
    }

    fn to(&self, forge: &Forge, page: usize, rel: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (key, value) in self.pairs.iter().filter(|(key, _)| key != "page") {
            query.append_pair(key, value);
        }
        query.append_pair("page", &page.to_string());
        format!("<{}{}?{}>; rel=\"{rel}\"", forge.base, self.path, query.finish())
    }
}
