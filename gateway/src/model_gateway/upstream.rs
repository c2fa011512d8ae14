//! The model API behind us.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use hyper_util::client::legacy::Error;
use url::Url;

use super::key_filter::contains;
use crate::outgoing::{self, OutgoingError};

/// Headers of a request that go on to the model API. The caller's own authorisation never does, and neither does its
/// wish for compression: the answer is read on its way.
const FORWARDED: [HeaderName; 3] = [header::ACCEPT, header::CONTENT_TYPE, header::USER_AGENT];

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-client-request-id");

/// Prefixes and names of further headers that Codex sends and the model API reads.
const FORWARDED_PREFIXES: [&str; 5] = ["openai-", "x-codex-", "originator", "session", "conversation"];

/// Headers of an answer that come back, besides those with one of [`RETURNED_PREFIXES`]. Not its length: taking the key
/// out changes that.
const RETURNED: [HeaderName; 3] = [header::CONTENT_TYPE, header::RETRY_AFTER, header::CACHE_CONTROL];

const RETURNED_PREFIXES: [&str; 3] = ["openai-", "x-ratelimit-", "x-codex-"];

/// Connections to a provider that wait for the next call.
const KEPT_CONNECTIONS: usize = 256;

/// A client for one provider, with connections that are kept.
#[derive(Clone)]
pub(super) struct Upstream {
    client: outgoing::Outgoing,
    base: String,
}

/// What is sent on.
pub(super) struct Outgoing<'a> {
    /// The method.
    pub(super) method: Method,
    /// The path, from `/v1` on.
    pub(super) path: &'static str,
    /// The caller's headers; few of them go on.
    pub(super) headers: &'a HeaderMap,
    /// The whole body.
    pub(super) body: Bytes,
    /// The same for every try of a call, so that a provider can know two as one.
    pub(super) id: Option<HeaderValue>,
}

/// The client can't be made.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// There is no TLS for it.
    #[error(transparent)]
    Client(#[from] OutgoingError),
    /// The key fits no header.
    #[error("the key of the model API has characters that no header can carry")]
    Key(#[source] http::header::InvalidHeaderValue),
}

impl Upstream {
    pub(super) fn new(base: &Url) -> Result<Self, UpstreamError> {
        let client = outgoing::client(&[base], KEPT_CONNECTIONS)?;
        let base = base.as_str().trim_end_matches('/');
        let base = base.strip_suffix("/v1").unwrap_or(base).to_owned();
        Ok(Self { client, base })
    }

    /// Sends a request on.
    pub(super) async fn send(&self, out: &Outgoing<'_>, bearer: HeaderValue) -> Result<Response<Body>, SendError> {
        let uri: Uri = format!("{}{}", self.base, out.path).parse().map_err(SendError::Address)?;
        let length = out.body.len();
        let mut request = Request::new(Body::from(out.body.clone()));
        (*request.method_mut(), *request.uri_mut()) = (out.method.clone(), uri);
        let kept = out.headers.iter().filter(|(name, _)| passes(name, &FORWARDED, &FORWARDED_PREFIXES));
        let headers = request.headers_mut();
        headers.extend(kept.map(|(name, value)| (name.clone(), value.clone())));
        headers.insert(header::AUTHORIZATION, bearer);
        if out.method == Method::POST {
            headers.insert(header::CONTENT_LENGTH, length.into());
        }
        if let Some(id) = &out.id {
            headers.insert(IDEMPOTENCY_KEY, id.clone());
            headers.insert(CLIENT_REQUEST_ID, id.clone());
        }
        let answer = self.client.request(request).await.map_err(SendError::Transport)?;
        Ok(answer.map(Body::new))
    }
}

/// The headers of an answer that the caller may see.
pub(super) fn returned(headers: &HeaderMap, key: &str) -> HeaderMap {
    let kept = headers.iter().filter(|(name, value)| {
        passes(name, &RETURNED, &RETURNED_PREFIXES) && !contains(value.as_bytes(), key.as_bytes())
    });
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Why a request did not get to the model API, or its answer not back.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("the address of the model API is none")]
    Address(#[source] http::uri::InvalidUri),
    #[error("the model API can't be reached")]
    Transport(#[source] Error),
}

impl SendError {
    /// Whether the request may have got there, so that it may have cost something.
    pub(super) fn may_have_arrived(&self) -> bool {
        match self {
            Self::Address(_) => false,
            Self::Transport(error) => !error.is_connect(),
        }
    }
}

fn passes(name: &HeaderName, names: &[HeaderName], prefixes: &[&str]) -> bool {
    names.contains(name) || prefixes.iter().any(|prefix| name.as_str().starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt, net::TcpListener};

    use super::*;

    #[tokio::test]
    async fn an_https_address_is_greeted_with_tls() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
        let upstream = Upstream::new(&base).unwrap();
        let headers = HeaderMap::new();
        let out = Outgoing { method: Method::GET, path: "/v1/models", headers: &headers, body: Bytes::new(), id: None };
        let greeted = async {
            let mut hello = [0; 2];
            listener.accept().await.unwrap().0.read_exact(&mut hello).await.unwrap();
            hello
        };
        let (sent, hello) = tokio::join!(upstream.send(&out, HeaderValue::from_static("Bearer sk-1")), greeted);
        // A TLS record of the kind handshake; who hangs up then is not trusted with the key.
        assert_eq!(hello, [0x16, 0x03]);
        assert!(matches!(sent, Err(SendError::Transport(_))));
    }

    #[test]
    fn only_harmless_headers_pass() {
        let pass = |name: &'static str| passes(&HeaderName::from_static(name), &FORWARDED, &FORWARDED_PREFIXES);
        for name in ["content-type", "openai-beta", "x-codex-turn", "session_id", "originator"] {
            assert!(pass(name), "{name}");
        }
        for name in ["authorization", "cookie", "host", "accept-encoding", "connection", "x-forwarded-for"] {
            assert!(!pass(name), "{name}");
        }
    }
}
