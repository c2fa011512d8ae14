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
    Router,
    extract::{DefaultBodyLimit, State},
    middleware,
    response::Response,
    routing::{get, post},
};
use chrono::Utc;
use dispatch::Clock;
use role::SecretText;
use store::Store;
use telemetry::{
    Telemetry,
    catalogue::Role,
    database,
    ops::Ops,
    readiness::{Part, Readiness},
};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;
use url::Url;

use self::upstream::Upstream;
pub use self::{settings::ModelGatewaySettings, upstream::UpstreamError};
use crate::{health, problem, requests, serve::serve_until};

const DATABASE_CONNECTIONS: u32 = 10;

/// How long the ends of calls may take to be written down, once the role stops.
const LAST_WRITES: Duration = Duration::from_secs(10);

/// The model gateway's parts. Cloning shares them.
#[derive(Clone)]
pub struct ModelGateway {
    store: Store,
    upstream: Upstream,
    clock: Clock,
    telemetry: Arc<Telemetry>,
    readiness: Arc<Readiness>,
    /// Ends of calls that are being written down.
    endings: TaskTracker,
}

impl ModelGateway {
    /// A gateway to the model API at `upstream`, an address without `/v1`.
    ///
    /// # Errors
    /// When the client can't be made.
    pub fn new(
        store: Store,
        upstream: &Url,
        key: SecretText,
        clock: Clock,
        telemetry: Arc<Telemetry>,
    ) -> Result<Self, UpstreamError> {
        let upstream = Upstream::new(upstream, key)?;
        // Whether the model API itself is there is for the callers: they are told by its answers.
        let rests_on = vec![database::part(&store), Part::loaded("upstream key")];
        let readiness = Readiness::new(rests_on, Arc::clone(&clock));
        Ok(Self { store, upstream, clock, telemetry, readiness, endings: TaskTracker::new() })
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
            .layer(middleware::from_fn_with_state(Arc::clone(&self.telemetry), requests::observe))
            .with_state(self.clone())
    }

    /// What it can be asked for by those who run the platform.
    #[must_use]
    pub fn ops(&self) -> Ops {
        let (telemetry, readiness) = (Arc::clone(&self.telemetry), Arc::clone(&self.readiness));
        Ops { telemetry, readiness, before_scrape: None }
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
    let telemetry = Arc::new(Telemetry::new(Role::ModelGateway, &settings.telemetry)?);
    let store = database::watched(store, &telemetry);
    let clock: Clock = Arc::new(Utc::now);
    let gateway = ModelGateway::new(store, &settings.upstream, settings.api_key, clock, telemetry)?;
    let _ops = gateway.ops().serve_if_wanted(settings.telemetry.metrics_bind).await?;
    let listener = TcpListener::bind(settings.bind).await.with_context(|| format!("listen on {}", settings.bind))?;
    tracing::info!(address = %listener.local_addr()?, upstream = %settings.upstream, "the model gateway listens");
    serve_until(listener, gateway.router(), shutdown).await?;
    if tokio::time::timeout(LAST_WRITES, gateway.settle()).await.is_err() {
        tracing::error!("the ends of some model calls could not be written down");
    }
    gateway.telemetry.tracer.finish().await;
    Ok(())
}

async fn ready(State(gateway): State<ModelGateway>) -> Response {
    health::answer(&gateway.readiness).await
}
