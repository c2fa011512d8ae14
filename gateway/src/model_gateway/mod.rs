//! The model gateway role: model token in, real key out. It passes calls through, counts them and the tokens they use, and is
//! the only part of the platform that holds the model API's key.

mod call;
mod key_filter;
mod relay;
mod settings;
mod upstream;
mod usage;

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    middleware,
    routing::{get, post},
};
use chrono::Utc;
use dispatch::Clock;
use http::StatusCode;
use role::SecretText;
use store::Store;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;
use url::Url;

use self::upstream::Upstream;
pub use self::{settings::ModelGatewaySettings, upstream::UpstreamError};
use crate::{
    health::{self, Readiness},
    problem, requests,
    serve::serve_until,
};

const DATABASE_CONNECTIONS: u32 = 10;

/// How long the ends of calls may take to be written down, once the role stops.
const LAST_WRITES: Duration = Duration::from_secs(10);

/// The model gateway's parts. Cloning shares them.
#[derive(Clone)]
pub struct ModelGateway {
    store: Store,
    upstream: Upstream,
    clock: Clock,
    /// Ends of calls that are being written down.
    endings: TaskTracker,
}

impl ModelGateway {
    /// A gateway to the model API at `upstream`, an address without `/v1`.
    ///
    /// # Errors
    /// When the client can't be made.
    pub fn new(store: Store, upstream: &Url, key: SecretText, clock: Clock) -> Result<Self, UpstreamError> {
        Ok(Self { store, upstream: Upstream::new(upstream, key)?, clock, endings: TaskTracker::new() })
    }

    /// Every address of the model gateway.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/v1/responses", post(relay::responses))
            .route("/v1/models", get(relay::models))
            .route("/healthz", get(health::alive))
            .route("/readyz", get(ready))
            .fallback(problem::not_found)
            .layer(DefaultBodyLimit::disable())
            .layer(middleware::from_fn(requests::observe))
            .with_state(self.clone())
    }

    /// Waits until the ends of all calls so far are written down.
    pub async fn settle(&self) {
        self.endings.close();
        self.endings.wait().await;
        self.endings.reopen();
    }
}

/// Serves until `shutdown` ends, then finishes what is under way.
///
/// # Errors
/// When the client can't be made or the address can't be had.
pub async fn serve(
    settings: ModelGatewaySettings,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    role::logging::start(settings.log_format);
    let store = Store::connect_lazy(settings.database_url.expose(), DATABASE_CONNECTIONS)?;
    let gateway = ModelGateway::new(store, &settings.upstream, settings.api_key, Arc::new(Utc::now))?;
    let listener = TcpListener::bind(settings.bind).await.with_context(|| format!("listen on {}", settings.bind))?;
    tracing::info!(address = %listener.local_addr()?, upstream = %settings.upstream, "the model gateway listens");
    serve_until(listener, gateway.router(), shutdown).await?;
    if tokio::time::timeout(LAST_WRITES, gateway.settle()).await.is_err() {
        tracing::error!("the ends of some model calls could not be written down");
    }
    Ok(())
}

async fn ready(State(gateway): State<ModelGateway>) -> (StatusCode, Json<Readiness>) {
    health::answer(vec![health::postgres(&gateway.store).await])
}
