//! The port for those who run the platform: `/metrics`, `/healthz`, `/readyz`.

use std::{net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::header::CONTENT_TYPE;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{Telemetry, readiness::Readiness};

/// Brings gauges up to date that are read from somewhere.
#[async_trait]
pub trait BeforeScrape: Send + Sync {
    /// Reads them, or leaves them if they were read a moment ago.
    async fn refresh(&self);
}

/// What can be asked for on the port.
#[derive(Clone)]
pub struct Ops {
    /// The role's metrics.
    pub telemetry: Arc<Telemetry>,
    /// Whether it can work.
    pub readiness: Arc<Readiness>,
    /// What is done before each scrape.
    pub before_scrape: Option<Arc<dyn BeforeScrape>>,
}

/// A port that is served until this is dropped.
pub struct Served {
    /// Where it is.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Ops {
    /// The addresses.
    pub fn router(self) -> Router {
        Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(alive))
            .route("/readyz", get(ready))
            .with_state(self)
    }

    /// Serves them where the settings say, if they say so.
    ///
    /// # Errors
    /// When the address can't be had.
    pub async fn serve_if_wanted(self, bind: Option<SocketAddr>) -> std::io::Result<Option<Served>> {
        match bind {
            Some(bind) => self.serve(bind).await.map(Some),
            None => Ok(None),
        }
    }

    /// Serves them at `bind`, until what is returned is dropped.
    ///
    /// # Errors
    /// When the address can't be had.
    pub async fn serve(self, bind: SocketAddr) -> std::io::Result<Served> {
        let listener = TcpListener::bind(bind).await?;
        let address = listener.local_addr()?;
        let router = self.router();
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "metrics are no longer served");
            }
        });
        tracing::info!(%address, "metrics can be asked for");
        Ok(Served { address, task })
    }
}

async fn alive() -> &'static str {
    "alive\n"
}

async fn ready(State(ops): State<Ops>) -> Response {
    ops.readiness.answer().await.into_response()
}

async fn metrics(State(ops): State<Ops>) -> Response {
    if let Some(before) = &ops.before_scrape {
        before.refresh().await;
    }
    ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], ops.telemetry.metrics.render()).into_response()
}
