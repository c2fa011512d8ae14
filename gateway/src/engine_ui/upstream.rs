//! The engine's web UI behind us: what goes on to it, and what comes back.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri,
    header::{self, CONTENT_TYPE},
    response::Parts,
};
use url::Url;

use super::PATH;
use crate::{
    outgoing::{self, OutgoingError},
    problem::{Chain, Problem},
};

/// Headers that go on. Not the person's cookies, nor any authorisation: the UI needs to know nobody. Not what would
/// have it read another method, host or client out of a request than the one that was judged.
const FORWARDED: [HeaderName; 8] = [
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_TYPE,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::RANGE,
    header::USER_AGENT,
    HeaderName::from_static("caller-type"),
];

/// Headers that come back. Its cookies do not: they would be sent to the whole platform.
const RETURNED: [HeaderName; 10] = [
    header::ACCEPT_RANGES,
    header::CACHE_CONTROL,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_SECURITY_POLICY,
    header::CONTENT_TYPE,
    header::ETAG,
    header::LAST_MODIFIED,
    header::VARY,
];

/// The UI wants a pair of these of whoever writes. Where a write comes from was checked here, so any pair will do.
const ITS_COOKIE: HeaderValue = HeaderValue::from_static("_csrf=gateway");
const ITS_TOKEN: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-csrf-token"), HeaderValue::from_static("gateway"));

/// Within this an answer begins. Who waits for the next event of a workflow is held for 20 s by the engine.
const BEGIN_LIMIT: Duration = Duration::from_secs(60);

/// Longest silence within an answer.
const SILENCE: Duration = Duration::from_secs(30);

/// No answer is larger: a page of history is a few megabytes.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// No answer that we read ourselves is larger.
pub(super) const MAX_READ: usize = 4 * 1024 * 1024;

/// Connections that wait for the next request.
const KEPT_CONNECTIONS: usize = 16;

/// The way to the UI.
#[derive(Clone)]
pub(super) struct Upstream {
    client: outgoing::Outgoing,
    base: String,
}

/// What is sent on.
pub(super) struct Sent<'a> {
    pub(super) method: &'a Method,
    /// Path and query, as they came.
    pub(super) uri: &'a Uri,
    /// The person's headers; few of them go on.
    pub(super) headers: &'a HeaderMap,
    pub(super) body: Bytes,
    /// Whether the answer may come packed: not if we are to read it.
    pub(super) packed: bool,
}

impl Upstream {
    pub(super) fn new(base: &Url) -> Result<Self, OutgoingError> {
        let client = outgoing::client(&[base], KEPT_CONNECTIONS)?;
        Ok(Self { client, base: base.as_str().trim_end_matches('/').to_owned() })
    }

    /// Sends a request on; gives the beginning of the answer.
    ///
    /// # Errors
    /// 503 if nobody is there, 504 if nothing comes.
    pub(super) async fn send(&self, sent: Sent<'_>) -> Result<(Parts, Body), Problem> {
        let path = sent.uri.path_and_query().map_or(PATH, http::uri::PathAndQuery::as_str);
        let address: Uri = format!("{}{path}", self.base).parse().map_err(|error| {
            tracing::warn!(%error, "an address of the engine's UI is none");
            Problem::bad_request("address_invalid", "this is no address")
        })?;
        let length = sent.body.len();
        let mut request = Request::new(Body::from(sent.body));
        (*request.method_mut(), *request.uri_mut()) = (sent.method.clone(), address);
        let headers = request.headers_mut();
        let kept = sent.headers.iter().filter(|(name, _)| FORWARDED.contains(name));
        headers.extend(kept.map(|(name, value)| (name.clone(), value.clone())));
        if let Some(codings) = sent.headers.get(header::ACCEPT_ENCODING).filter(|_| sent.packed) {
            headers.insert(header::ACCEPT_ENCODING, codings.clone());
        }
        if !sent.method.is_safe() {
            headers.insert(header::CONTENT_LENGTH, length.into());
            // Whatever a form would be read as, the engine's API is JSON.
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(header::COOKIE, ITS_COOKIE);
            headers.insert(ITS_TOKEN.0, ITS_TOKEN.1);
        }
        let answer = tokio::time::timeout(BEGIN_LIMIT, self.client.request(request)).await.map_err(|_| late())?;
        let answer = answer.map_err(|error| {
            tracing::warn!(error = %Chain(&error), "the engine's UI does not answer");
            away()
        })?;
        let (parts, body) = answer.into_parts();
        Ok((parts, Body::new(body)))
    }
}

fn away() -> Problem {
    let detail =
        "the engine's own web UI does not answer just now; runs are not touched by that. Try again in a moment";
    Problem::unavailable("engine_ui_unavailable", detail, 5)
}

fn late() -> Problem {
    tracing::warn!("the engine's UI gave no answer in time");
    let detail = "the engine's own web UI took too long to answer: try again in a moment";
    Problem::new(StatusCode::GATEWAY_TIMEOUT, "engine_ui_slow", detail)
}

/// The headers of an answer that the person may see. Where it leads to another place, that place has to be one of its own.
pub(super) fn returned(parts: &Parts) -> HeaderMap {
    let kept = parts.headers.iter().filter(|(name, _)| RETURNED.contains(name));
    let mut headers: HeaderMap = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
    let own = |place: &&HeaderValue| {
        let place = place.to_str().unwrap_or_default();
        place == PATH || place.strip_prefix(PATH).is_some_and(|rest| rest.starts_with(['/', '?']))
    };
    if let Some(place) = parts.headers.get(header::LOCATION).filter(own) {
        headers.insert(header::LOCATION, place.clone());
    }
    headers
}

/// The whole of a small answer.
///
/// # Errors
/// 503 if it breaks off or is too large.
pub(super) async fn whole(body: Body) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(BEGIN_LIMIT, to_bytes(body, MAX_READ)).await.map_err(|_| late())?;
    read.map_err(|error| {
        tracing::warn!(error = %Chain(&error), "an answer of the engine's UI broke off");
        away()
    })
}

/// An answer on its way, cut off when it is too large or falls silent.
pub(super) fn bounded(body: Body) -> Body {
    let pieces = stream::unfold(Some((body.into_data_stream(), 0_usize)), |state| async {
        let (mut pieces, seen) = state?;
        let cut = |why: &'static str| Some((Err(axum::Error::new(std::io::Error::other(why))), None));
        match tokio::time::timeout(SILENCE, pieces.next()).await {
            Err(_) => cut("the engine's UI fell silent"),
            Ok(None) => None,
            Ok(Some(Err(error))) => Some((Err(error), None)),
            Ok(Some(Ok(piece))) => match seen + piece.len() {
                more if more > MAX_ANSWER => cut("the engine's UI sends too much"),
                more => Some((Ok(piece), Some((pieces, more)))),
            },
        }
    });
    Body::from_stream(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_goes_on_and_little_comes_back() {
        for name in
            ["authorization", "cookie", "host", "connection", "x-http-method-override", "x-forwarded-for", "origin"]
        {
            assert!(!FORWARDED.contains(&HeaderName::from_static(name)), "{name}");
        }
        for name in ["set-cookie", "connection", "transfer-encoding", "x-frame-options", "access-control-allow-origin"]
        {
            assert!(!RETURNED.contains(&HeaderName::from_static(name)), "{name}");
        }
        let leads = |place: &'static str| {
            let (mut parts, ()) = http::Response::new(()).into_parts();
            parts.headers.insert(header::LOCATION, HeaderValue::from_static(place));
            returned(&parts).contains_key(header::LOCATION)
        };
        assert!(leads("/ops/temporal/namespaces") && leads("/ops/temporal"));
        for elsewhere in ["https://evil.example", "//evil.example", "/ops/temporalx", "/runs"] {
            assert!(!leads(elsewhere), "{elsewhere}");
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_too_large_is_cut_off() {
        let piece = Bytes::from(vec![0_u8; 1024 * 1024]);
        let pieces = stream::repeat_with(move || Ok::<_, axum::Error>(piece.clone()));
        let got = to_bytes(bounded(Body::from_stream(pieces)), usize::MAX).await;
        assert!(got.is_err());
        let whole = to_bytes(bounded(Body::from("all of it")), usize::MAX).await.unwrap();
        assert_eq!(whole, "all of it");
    }
}
