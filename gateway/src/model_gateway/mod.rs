//! The model gateway role: model token in, real key out. It passes calls through within the agent's models and budgets, counts
//! what they use and cost, and is the only part of the platform that holds the keys of model APIs.

mod admission;
mod alive;
mod bodies;
mod breaker;
mod call;
mod exchange;
mod key_filter;
mod prices;
mod provider_file;
mod providers;
mod refusal;
mod relay;
mod request;
mod settings;
mod upstream;
mod usage;
mod waits;

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
use domain::told_settings::ToldRole;
use store::{Store, blobs::Blobs, model_gateways::ModelGatewayId, role_settings};
use telemetry::{
    Telemetry,
    catalogue::Role,
    database,
    ops::Ops,
    readiness::{Part, Readiness},
};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use self::providers::Providers;
pub use self::{
    prices::{DEFAULT_MAX_OUTPUT, Prices},
    providers::{KeySettings, ProviderSettings},
    settings::ModelGatewaySettings,
    upstream::UpstreamError,
};
use crate::{health, problem, requests, serve::serve_until, webhooks::body::BodyBudget};

const DATABASE_CONNECTIONS: u32 = 10;

/// How long the ends of calls may take to be written down, once the role stops.
const LAST_WRITES: Duration = Duration::from_secs(10);

/// What a model gateway is made of.
pub struct ModelGatewayParts {
    /// The database.
    pub store: Store,
    /// Who has the models, the preferred one first.
    pub providers: Vec<ProviderSettings>,
    /// What models cost.
    pub prices: Prices,
    /// Where what is said is kept for projects that want that; none: nothing is kept.
    pub blobs: Option<Blobs>,
    /// The time.
    pub clock: Clock,
    /// How it shows itself.
    pub telemetry: Arc<Telemetry>,
}

/// The model gateway's parts. Cloning shares them.
#[derive(Clone)]
pub struct ModelGateway {
    id: ModelGatewayId,
    store: Store,
    providers: Providers,
    prices: Arc<Prices>,
    blobs: Option<Blobs>,
    room: BodyBudget,
    clock: Clock,
    telemetry: Arc<Telemetry>,
    readiness: Arc<Readiness>,
    /// Ends of calls that are being written down.
    endings: TaskTracker,
}

impl ModelGateway {
    /// A gateway of these parts.
    ///
    /// # Errors
    /// When a client can't be made, or a key fits no header.
    pub fn new(parts: ModelGatewayParts) -> Result<Self, UpstreamError> {
        let ModelGatewayParts { store, providers, prices, blobs, clock, telemetry } = parts;
        let providers = Providers::new(providers)?;
        providers.show(&telemetry.metrics);
        // Whether the model API itself is there is for the callers: they are told by its answers.
        let rests_on = vec![database::part(&store), Part::loaded("upstream key")];
        let readiness = Readiness::new(rests_on, Arc::clone(&clock));
        let (id, prices, endings) = (ModelGatewayId::new(), Arc::new(prices), TaskTracker::new());
        Ok(Self { id, store, providers, prices, blobs, room: relay::room(), clock, telemetry, readiness, endings })
    }

    /// Every address of the model gateway.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/v1/responses", post(relay::responses))
            .route("/v1/embeddings", post(relay::embeddings))
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
    let told = settings.told();
    let store = Store::connect_lazy(settings.database_url.expose(), DATABASE_CONNECTIONS)?;
    let telemetry = Arc::new(Telemetry::new(Role::ModelGateway, &settings.telemetry)?);
    let store = database::watched(store, &telemetry);
    let clock: Clock = Arc::new(Utc::now);
    let blobs = settings.blob_dir.as_deref().map(Blobs::local).transpose()?;
    let names: Vec<String> = settings.providers.iter().map(|provider| provider.name.clone()).collect();
    let (providers, prices) = (settings.providers, settings.prices);
    let gateway = ModelGateway::new(ModelGatewayParts { store, providers, prices, blobs, clock, telemetry })?;
    let alive = tokio::spawn(gateway.clone().keep_alive());
    let (of, now) = (gateway.store.clone(), (gateway.clock)());
    let telling =
        tokio::spawn(async move { role_settings::put_in_time(&of, ToldRole::ModelGateway, &told, now).await });
    let _ops = gateway.ops().serve_if_wanted(settings.telemetry.metrics_bind).await?;
    let listener = TcpListener::bind(settings.bind).await.with_context(|| format!("listen on {}", settings.bind))?;
    tracing::info!(address = %listener.local_addr()?, providers = ?names, "the model gateway listens");
    serve_until(listener, gateway.router(), shutdown).await?;
    if tokio::time::timeout(LAST_WRITES, gateway.settle()).await.is_err() {
        tracing::error!("the ends of some model calls could not be written down");
    }
    alive.abort();
    telling.abort();
    gateway.telemetry.tracer.finish().await;
    Ok(())
}

async fn ready(State(gateway): State<ModelGateway>) -> Response {
    health::answer(&gateway.readiness).await
}
