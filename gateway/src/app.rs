//! The parts of a gateway and its addresses.

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{get, post},
};
use chrono::{DateTime, Utc};
use dispatch::{Clock, Dispatcher};
use domain::{
    egress::{HostList, HostPattern},
    ids::Instance,
};
use forge::seal::SealingKeys;
use store::{Store, blobs::Blobs};
use telemetry::{Telemetry, ops::Ops, readiness::Readiness};

use crate::{
    api,
    auth::{self, KnownKeys, SignIn},
    console::Console,
    engine_seen::EngineSeen,
    engine_ui::{self, EngineUi},
    gaps::Gaps,
    health,
    hook_secrets::GatewayKey,
    live::Live,
    problem, requests, runner_endpoint,
    webhooks::{self, BodyBudget, Committers, DEFAULT_BUFFER_BYTES, PlatformSecrets},
};

/// What a gateway is made of.
pub struct AppParts {
    /// The database.
    pub store: Store,
    /// Carries commands to the engine.
    pub dispatcher: Arc<Dispatcher>,
    /// Bundles.
    pub blobs: Blobs,
    /// The platform's own webhook secrets.
    pub webhook_secrets: PlatformSecrets,
    /// Opens the secrets of hooks.
    pub key: GatewayKey,
    /// Bytes of webhook bodies held at a time; none takes the default.
    pub buffer_bytes: Option<usize>,
    /// Hosts that the programs of every project's Jobs may reach.
    pub egress_hosts: HostList,
    /// Tells the time.
    pub clock: Clock,
    /// Counts what happens.
    pub telemetry: Arc<Telemetry>,
    /// How people sign in; none: they can't.
    pub sign_in: Option<SignIn>,
    /// Closes boxes that the worker opens; none: no credential can be given to this gateway.
    pub sealing: Option<SealingKeys>,
    /// The engine's own web UI; none: it is not to be had here.
    pub engine_ui: Option<EngineUi>,
}

/// The gateway's parts as its handlers see them. Cloning shares them.
#[derive(Clone)]
pub struct AppState(Arc<Inner>);

struct Inner {
    parts: AppParts,
    budget: BodyBudget,
    gaps: Gaps,
    committers: Committers,
    known_keys: KnownKeys,
    live: Live,
    engine_seen: EngineSeen,
    readiness: Arc<Readiness>,
}

impl AppState {
    /// Puts the parts together, and starts those who store webhooks.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn new(parts: AppParts) -> Self {
        let budget = BodyBudget::new(parts.buffer_bytes.unwrap_or(DEFAULT_BUFFER_BYTES));
        let readiness = health::readiness(&parts);
        let committers = Committers::start(parts.store.clone(), parts.dispatcher.instance().clone());
        let known_keys = KnownKeys::default();
        let (gaps, live) = (Gaps::default(), Live::default());
        let engine_seen = EngineSeen::default();
        Self(Arc::new(Inner { parts, budget, gaps, committers, known_keys, live, engine_seen, readiness }))
    }

    /// The database.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.parts.store
    }

    /// Carries commands to the engine.
    #[must_use]
    pub fn dispatcher(&self) -> &Arc<Dispatcher> {
        &self.0.parts.dispatcher
    }

    /// This installation.
    #[must_use]
    pub fn instance(&self) -> &Instance {
        self.dispatcher().instance()
    }

    /// The memory that webhook bodies may take.
    #[must_use]
    pub fn body_budget(&self) -> &BodyBudget {
        &self.0.budget
    }

    /// Webhooks that could not be stored.
    #[must_use]
    pub fn gaps(&self) -> &Gaps {
        &self.0.gaps
    }

    pub(crate) fn committers(&self) -> &Committers {
        &self.0.committers
    }

    /// Notes in the database which hooks have missed something, until dropped.
    pub async fn keep_gaps(self) {
        self.gaps().keep(self.store(), &self.0.parts.clock).await;
    }

    /// What it can be asked for by those who run the platform.
    #[must_use]
    pub fn ops(&self) -> Ops {
        let (telemetry, readiness) = (Arc::clone(self.telemetry()), Arc::clone(self.readiness()));
        Ops { telemetry, readiness, before_scrape: None }
    }

    pub(crate) fn readiness(&self) -> &Arc<Readiness> {
        &self.0.readiness
    }

    pub(crate) fn telemetry(&self) -> &Arc<Telemetry> {
        &self.0.parts.telemetry
    }

    pub(crate) fn blobs(&self) -> &Blobs {
        &self.0.parts.blobs
    }

    pub(crate) fn webhook_secrets(&self) -> &PlatformSecrets {
        &self.0.parts.webhook_secrets
    }

    pub(crate) fn key(&self) -> &GatewayKey {
        &self.0.parts.key
    }

    pub(crate) fn sign_in(&self) -> Option<&SignIn> {
        self.0.parts.sign_in.as_ref()
    }

    pub(crate) fn sealing(&self) -> Option<&SealingKeys> {
        self.0.parts.sealing.as_ref()
    }

    pub(crate) fn engine_ui(&self) -> Option<&EngineUi> {
        self.0.parts.engine_ui.as_ref()
    }

    pub(crate) fn engine_seen(&self) -> &EngineSeen {
        &self.0.engine_seen
    }

    pub(crate) fn known_keys(&self) -> &KnownKeys {
        &self.0.known_keys
    }

    pub(crate) fn live(&self) -> &Live {
        &self.0.live
    }

    /// Ends the streams of pages that are open: they go on at another gateway, or once this one is back.
    pub fn close_live(&self) {
        self.live().close();
    }

    pub(crate) fn egress_hosts(&self) -> &[HostPattern] {
        &self.0.parts.egress_hosts.0
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        (self.0.parts.clock)()
    }
}

/// Every address of the gateway, without a console.
pub fn router(state: AppState) -> Router {
    router_with_console(state, Console::none())
}

/// Every address of the gateway; what none of them is, is the console's.
pub fn router_with_console(state: AppState, console: Console) -> Router {
    finished(outside(&state, console).merge(runner_endpoint::router()), state)
}

/// Every address but those of Jobs: for a gateway whose runner endpoint has a port of its own.
pub fn outside_router(state: AppState, console: Console) -> Router {
    finished(outside(&state, console), state)
}

/// The addresses of Jobs alone.
pub fn runner_router(state: AppState) -> Router {
    finished(runner_endpoint::router().fallback(problem::not_found), state)
}

fn outside(state: &AppState, console: Console) -> Router<AppState> {
    Router::new()
        .route("/webhooks/github", post(webhooks::receive))
        .merge(auth::router())
        .merge(api::router(state.clone()))
        .merge(engine_ui::router())
        .fallback(move |method, uri, headers| console.clone().answer(method, uri, headers))
}

/// What every port has: whether the role lives and can work, and one line in the log for each request.
fn finished(router: Router<AppState>, state: AppState) -> Router {
    router
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .layer(middleware::from_fn_with_state(Arc::clone(state.telemetry()), requests::observe))
        .with_state(state)
}
