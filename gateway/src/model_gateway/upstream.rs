//! The model API behind us.

use std::{io, sync::Arc, time::Duration};

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_timeout::TimeoutConnector;
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::TokioExecutor,
};
use role::SecretText;
use url::Url;

use super::key_filter::contains;

const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Headers of a request that go on to the model API. The caller's own authorisation never does, and neither does its
/// wish for compression: the answer is read on its way.
const FORWARDED: [HeaderName; 5] =
    [header::ACCEPT, header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::USER_AGENT];

/// Prefixes and names of further headers that Codex sends and the model API reads.
const FORWARDED_PREFIXES: [&str; 5] = ["openai-", "x-codex-", "originator", "session", "conversation"];

/// Headers of an answer that come back, besides those with one of [`RETURNED_PREFIXES`]. Not its length: taking the key
/// out changes that.
const RETURNED: [HeaderName; 3] = [header::CONTENT_TYPE, header::RETRY_AFTER, header::CACHE_CONTROL];

const RETURNED_PREFIXES: [&str; 3] = ["openai-", "x-ratelimit-", "x-codex-"];

type Connector = TimeoutConnector<HttpsConnector<HttpConnector>>;

/// A client for the model API that holds the real key.
#[derive(Clone)]
pub(super) struct Upstream {
    client: Client<Connector, Body>,
    base: String,
    key: SecretText,
    bearer: HeaderValue,
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
    pub(super) fn new(base: &Url, key: SecretText) -> Result<Self, UpstreamError> {
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
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", key.expose())).map_err(UpstreamError::Key)?;
        bearer.set_sensitive(true);
        let base = base.as_str().trim_end_matches('/').to_owned();
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector), base, key, bearer })
    }

    /// The real key, to be kept out of answers.
    pub(super) fn key(&self) -> &str {
        self.key.expose()
    }

    /// Sends a request on.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &'static str,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response<Body>, SendError> {
        let uri: Uri = format!("{}{path}", self.base).parse().map_err(SendError::Address)?;
        let mut request = Request::new(body);
        (*request.method_mut(), *request.uri_mut()) = (method, uri);
        let kept = headers.iter().filter(|(name, _)| passes(name, &FORWARDED, &FORWARDED_PREFIXES));
        request.headers_mut().extend(kept.map(|(name, value)| (name.clone(), value.clone())));
        request.headers_mut().insert(header::AUTHORIZATION, self.bearer.clone());
        let answer = self.client.request(request).await.map_err(SendError::Transport)?;
        Ok(answer.map(Body::new))
    }

    /// The headers of an answer that the caller may see.
    pub(super) fn returned(&self, headers: &HeaderMap) -> HeaderMap {
        let key = self.key.expose().as_bytes();
        let kept = headers
            .iter()
            .filter(|(name, value)| passes(name, &RETURNED, &RETURNED_PREFIXES) && !contains(value.as_bytes(), key));
        kept.map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

/// Why a request did not get to the model API, or its answer not back.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("the address of the model API is none")]
    Address(#[source] http::uri::InvalidUri),
    #[error("the model API can't be reached")]
    Transport(#[source] Error),
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
        let upstream = Upstream::new(&base, SecretText::new("sk-1")).unwrap();
        let headers = HeaderMap::new();
        let greeted = async {
            let mut hello = [0; 2];
            listener.accept().await.unwrap().0.read_exact(&mut hello).await.unwrap();
            hello
        };
        let (sent, hello) = tokio::join!(upstream.send(Method::GET, "/v1/models", &headers, Body::empty()), greeted);
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
