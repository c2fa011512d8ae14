//! The client for requests that the gateway itself makes.

use std::{io, sync::Arc, time::Duration};

use axum::body::Body;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_timeout::TimeoutConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use url::Url;

const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A client that speaks HTTP and HTTPS.
pub(crate) type Outgoing = Client<TimeoutConnector<HttpsConnector<HttpConnector>>, Body>;

/// The client can't be made.
#[derive(Debug, thiserror::Error)]
pub enum OutgoingError {
    /// The certificates that the machine trusts can't be read.
    #[error("the machine's trusted certificates can't be read")]
    Roots(#[source] io::Error),
    /// The versions of TLS that are wanted are not to be had.
    #[error("TLS can't be set up")]
    Tls(#[source] rustls::Error),
}

/// Makes a client for these addresses, with at most so many connections to each that wait for the next request.
///
/// # Errors
/// TLS can't be set up.
pub(crate) fn client(bases: &[&Url], kept: usize) -> Result<Outgoing, OutgoingError> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT_LIMIT));
    let provider = rustls::crypto::ring::default_provider();
    let https = HttpsConnectorBuilder::new();
    // An address without TLS must work on a machine that has no certificates at all.
    let https = if bases.iter().any(|base| base.scheme() == "https") {
        https.with_provider_and_native_roots(provider).map_err(OutgoingError::Roots)?
    } else {
        https.with_tls_config(without_roots(provider)?)
    };
    let https = https.https_or_http().enable_http1().wrap_connector(http);
    let mut connector = TimeoutConnector::new(https);
    // The handshake of TLS included. The answer itself may take as long as its caller lets it.
    connector.set_connect_timeout(Some(CONNECT_LIMIT));
    Ok(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(kept).build(connector))
}

fn without_roots(provider: rustls::crypto::CryptoProvider) -> Result<rustls::ClientConfig, OutgoingError> {
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(OutgoingError::Tls)?;
    Ok(config.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}
