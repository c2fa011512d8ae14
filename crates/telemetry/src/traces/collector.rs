//! The way to the collector, over the HTTP client that the platform has anyway.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use opentelemetry_http::{HttpClient, HttpError};
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::Handle;

use super::TraceError;

/// A batch has to be through in this time.
const LIMIT: Duration = Duration::from_secs(10);

/// An answer says little.
const MAX_ANSWER: usize = 64 * 1024;

/// Sends batches. The exporter's thread waits for it, nobody else does.
pub(super) struct Collector {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
    /// The last batch was not taken: one warning is enough.
    failing: AtomicBool,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Collector")
    }
}

impl Collector {
    pub(super) fn new(address: &str) -> Result<Self, TraceError> {
        let wrong = |problem: &dyn fmt::Display| TraceError::Endpoint(problem.to_string());
        let uri: Uri = address.parse().map_err(|error| wrong(&error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = HttpsConnectorBuilder::new();
        let builder = match (uri.scheme_str(), uri.host()) {
            (Some("https"), Some(_)) => {
                builder.with_provider_and_native_roots(provider).map_err(|error| wrong(&error))?
            }
            // No certificates are needed, and a machine may have none.
            (Some("http"), Some(_)) => {
                let config = ClientConfig::builder_with_provider(provider)
                    .with_safe_default_protocol_versions()
                    .map_err(|error| wrong(&error))?;
                builder.with_tls_config(config.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
            }
            _ => return Err(wrong(&"write http(s)://host:port")),
        };
        let client = Client::builder(TokioExecutor::new()).build(builder.https_or_http().enable_http1().build());
        Ok(Self { client, runtime: Handle::current(), failing: AtomicBool::new(false) })
    }

    fn tell(&self, problem: Option<String>) {
        let failing = problem.is_some();
        if self.failing.swap(failing, Ordering::Relaxed) == failing {
            return;
        }
        match problem {
            Some(problem) => tracing::warn!(problem, "the collector takes no traces; they are dropped until it does"),
            None => tracing::info!("the collector takes traces again"),
        }
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        // The exporter's thread has no reactor.
        let sending = self.runtime.spawn(async move {
            let answered = async {
                let (parts, body) = client.request(request.map(Full::new)).await?.into_parts();
                let body = Limited::new(body, MAX_ANSWER).collect().await?.to_bytes();
                Ok::<_, HttpError>(Response::from_parts(parts, body))
            };
            tokio::time::timeout(LIMIT, answered).await
        });
        let sent = match sending.await {
            Ok(Ok(sent)) => sent,
            Ok(Err(_)) => Err("no answer in time".into()),
            Err(ended) => Err(ended.into()),
        };
        self.tell(match &sent {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answers {}", answer.status())),
            Err(error) => Some(error.to_string()),
        });
        sent
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// As the exporter does: from a thread that knows no runtime.
    async fn send(collector: &Arc<Collector>, address: &str) -> bool {
        let request = Request::post(address).body(Bytes::from_static(b"spans")).unwrap();
        let collector = Arc::clone(collector);
        let sent = std::thread::spawn(move || futures::executor::block_on(collector.send_bytes(request)).is_ok());
        tokio::task::spawn_blocking(move || sent.join().unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn a_collector_goes_away_and_comes_back() {
        let place = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/v1/traces", place.local_addr().unwrap());
        let (_, port) = (drop(place), address.rsplit(':').next().unwrap().to_owned());
        let collector = Arc::new(Collector::new(&address).unwrap());
        assert!(!send(&collector, &address).await);
        assert!(collector.failing.load(Ordering::Relaxed));

        let place = TcpListener::bind(format!("127.0.0.1:{}", port.split('/').next().unwrap())).await.unwrap();
        let taking = tokio::spawn(async move {
            let (mut stream, _) = place.accept().await.unwrap();
            let mut read = Vec::new();
            while !read.ends_with(b"spans") {
                stream.read_buf(&mut read).await.unwrap();
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        });
        assert!(send(&collector, &address).await);
        assert!(!collector.failing.load(Ordering::Relaxed));
        taking.await.unwrap();
    }
}
