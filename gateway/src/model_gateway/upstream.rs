//! The model API behind us.

use std::{io, sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_timeout::TimeoutConnector;
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::TokioExecutor,
};
use url::Url;

use super::key_filter::contains;

const CONNECT_LIMIT: Duration = Duration::from_secs(10);

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

type Connector = TimeoutConnector<HttpsConnector<HttpConnector>>;

/// Connections to a provider that wait for the next call.
const KEPT_CONNECTIONS: usize = 256;

/// A client for one provider, with connections that are kept.
#[derive(Clone)]
pub(super) struct Upstream {
    client: Client<Connector, Body>,
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
    /// The certificates that the machine trusts can't be read.
    #[error("the machine's trusted certificates can't be read")]
    Roots(#[source] io::Error),
    /// The versions of TLS that are wanted are not to be had.
    #[error("TLS can't be set up")]
    Tls(#[source] rustls::Error),
    /// The key fits no header.
    #[error("the key of the model API has characters that no header can carry")]
    Key(#[source] http::header::InvalidHeaderValue),
}

impl Upstream {
    pub(super) fn new(base: &Url) -> Result<Self, UpstreamError> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT_LIMIT));
        let provider = rustls::crypto::ring::default_provider();
        let https = HttpsConnectorBuilder::new();
        // A model API without TLS must work on a machine that has no certificates at all.
        let https = if base.scheme() == "https" {
            https.with_provider_and_native_roots(provider).map_err(UpstreamError::Roots)?
        } else {
            https.with_tls_config(without_roots(provider)?)
        };
        let https = https.https_or_http().enable_http1().wrap_connector(http);
        let mut connector = TimeoutConnector::new(https);
        // The handshake of TLS included. The answer itself may take as long as it takes.
        connector.set_connect_timeout(Some(CONNECT_LIMIT));
        let base = base.as_str().trim_end_matches('/');
        let base = base.strip_suffix("/v1").unwrap_or(base).to_owned();
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(KEPT_CONNECTIONS).build(connector);
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

fn without_roots(provider: rustls::crypto::CryptoProvider) -> Result<rustls::ClientConfig, UpstreamError> {
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(UpstreamError::Tls)?;
    Ok(config.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
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
