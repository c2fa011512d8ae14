//! A gateway whose clock the test sets, and people who may sign in to it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use chrono::{DateTime, TimeDelta, Utc};
use devkit::github::{AccountKind, NewUser, Options, Seed, StandIn};
use dispatch::{Dispatcher, Engine, EnginePlace, EngineSettings};
use domain::{
    egress::HostList,
    ids::PersonId,
    people::{Email, PlatformRole, ProjectRole},
};
use gateway::{
    AppParts, AppState,
    auth::{SignIn, SignInSettings, TrustedProxies},
    engine_ui::EngineUi,
    hook_secrets::GatewayKey,
    webhooks::{HookSecret, PlatformSecrets},
};
use role::SecretText;
use serde_json::{Value, json};
use store::{
    Store,
    blobs::Blobs,
    members, people,
    repositories::{self, NewProject},
    testing::{TestDatabase, audited},
};
use telemetry::{Telemetry, TelemetrySettings, catalogue::Role};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{browser::Browser, log};

pub const PROJECT: &str = "demo";
const CLIENT_ID: &str = "test-client";
const CLIENT_SECRET: &str = "test-client-secret";

pub struct World {
    pub stand_in: StandIn,
    pub key: GatewayKey,
    pub blobs: Blobs,
    database: TestDatabase,
    address: SocketAddr,
    clock: Arc<Mutex<DateTime<Utc>>>,
    server: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

/// A gateway's access with one connection: a request that takes a second one while it has the first could wait for itself, as
/// soon as there are enough of them at once.
fn narrow(database: &TestDatabase) -> Store {
    Store::connect_lazy(database.url(), 1).unwrap()
}

impl World {
    /// An owner, an admin, and a member of each kind on the list; nobody has signed in yet.
    pub async fn start() -> Self {
        let keys = forge::seal::OpeningKeys::generate(&mut rand::rng());
        Self::with(Some(keys.sealing().clone()), None, nowhere(), TrustedProxies::default()).await
    }

    /// One whose gateway believes these proxies alone.
    pub async fn trusting(proxies: TrustedProxies) -> Self {
        Self::with(None, None, nowhere(), proxies).await
    }

    /// One whose gateway stands before the engine's web UI at this address.
    pub async fn before_engine_ui(url: &str) -> Self {
        Self::before_engine(nowhere(), Some(url)).await
    }

    /// One whose engine is this one, and whose gateway may stand before a web UI.
    pub async fn before_engine(engine: EnginePlace, ui: Option<&str>) -> Self {
        let ui = ui.map(|url| EngineUi::new(&url.parse().unwrap()).unwrap());
        Self::with(None, ui, engine, TrustedProxies::default()).await
    }

    /// One whose gateway can't take credentials.
    pub async fn without_sealing() -> Self {
        Self::with(None, None, nowhere(), TrustedProxies::default()).await
    }

    async fn with(
        sealing: Option<forge::seal::SealingKeys>,
        engine_ui: Option<EngineUi>,
        engine: EnginePlace,
        proxies: TrustedProxies,
    ) -> Self {
        log::keep();
        let folder = tempfile::tempdir().unwrap();
        let stand_in = stand_in(&folder).await;
        let database = TestDatabase::create().await;
        people_and_project(database.store()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (key, clock) = (GatewayKey::generate(), Arc::new(Mutex::new(Utc::now())));
        let callback = format!("http://{address}/auth/callback");
        stand_in.register_oauth_app(CLIENT_ID, CLIENT_SECRET, &callback).unwrap();
        let sign_in = sign_in(&stand_in, address, proxies);
        let blobs = Blobs::local(&folder.path().join("blobs")).unwrap();
        let told = Arc::clone(&clock);
        let parts = parts(narrow(&database), blobs.clone(), key.clone(), Arc::new(move || *told.lock().unwrap()));
        let dispatcher = dispatcher(&engine, &parts);
        let state = AppState::new(AppParts { sign_in: Some(sign_in), sealing, engine_ui, dispatcher, ..parts });
        let server = serve(listener, state);
        Self { stand_in, key, blobs, database, address, clock, server, _folder: folder }
    }

    /// Another gateway of the same platform; its address.
    pub async fn second_gateway(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let told = Arc::clone(&self.clock);
        let clock: dispatch::Clock = Arc::new(move || *told.lock().unwrap());
        let parts = parts(narrow(&self.database), self.blobs.clone(), self.key.clone(), clock);
        let sign_in = sign_in(&self.stand_in, self.address, TrustedProxies::default());
        serve(listener, AppState::new(AppParts { sign_in: Some(sign_in), ..parts }));
        url
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn store(&self) -> &Store {
        self.database.store()
    }

    pub fn now(&self) -> DateTime<Utc> {
        *self.clock.lock().unwrap()
    }

    /// Lets time go by.
    pub fn pass(&self, time: TimeDelta) {
        *self.clock.lock().unwrap() += time;
    }

    /// A browser in which nobody is signed in.
    pub fn browser(&self) -> Browser<'_> {
        Browser::new(self)
    }

    /// A browser in which somebody is signed in.
    pub async fn signed_in(&self, login: &str) -> Browser<'_> {
        let browser = self.browser();
        let answer = browser.sign_in(login).await;
        assert_eq!(answer.status, 303, "{login}: {}", answer.body);
        browser
    }

    pub async fn person(&self, login: &str) -> people::Person {
        let mut tx = self.store().begin().await.unwrap();
        people::lock_by_email(&mut tx, &email(login)).await.unwrap().unwrap()
    }

    /// The audit's events of a kind, the first first.
    pub async fn audited(&self, kind: &str) -> Vec<Value> {
        audited(self.store(), kind).await.unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub fn serve(listener: TcpListener, state: AppState) -> JoinHandle<()> {
    let service = gateway::router(state).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await.unwrap() })
}

fn sign_in(stand_in: &StandIn, address: SocketAddr, trusted_proxies: TrustedProxies) -> SignIn {
    let settings = SignInSettings {
        client_id: CLIENT_ID.into(),
        client_secret: SecretText::new(CLIENT_SECRET),
        oauth_url: stand_in.url().parse().unwrap(),
        api_url: stand_in.url().parse().unwrap(),
        public_url: format!("http://{address}").parse().unwrap(),
        owner_email: Some("owner@people.example".parse().unwrap()),
        trusted_proxies,
    };
    SignIn::new(&"test".parse().unwrap(), settings).unwrap()
}

pub fn email(login: &str) -> Email {
    format!("{login}@people.example").parse().unwrap()
}

async fn stand_in(folder: &tempfile::TempDir) -> StandIn {
    let mut options = Options::new(folder.path().join("forge"));
    let logins = ["owner", "admin", "project-admin", "writer", "reader", "stranger", "outsider"];
    let users = logins.map(|login| NewUser {
        login: login.into(),
        name: Some(format!("The {login}")),
        kind: AccountKind::User,
        token: None,
    });
    options.seed = Some(Seed { users: users.into(), repos: Vec::new() });
    StandIn::start(options).await.unwrap()
}

/// The owner comes from the settings; `outsider` is on the list, and a member of nothing.
async fn people_and_project(store: &Store) {
    let now = Utc::now();
    let mut tx = store.begin().await.unwrap();
    let new = NewProject { slug: PROJECT, slots: 3, settings: json!({}), now };
    let project = repositories::insert_project(&mut tx, new).await.unwrap();
    for (login, platform, role) in [
        ("admin", PlatformRole::Admin, None),
        ("project-admin", PlatformRole::None, Some(ProjectRole::Admin)),
        ("writer", PlatformRole::None, Some(ProjectRole::Write)),
        ("reader", PlatformRole::None, Some(ProjectRole::Read)),
        ("outsider", PlatformRole::None, None),
    ] {
        let id: PersonId = people::add(&mut tx, &email(login), platform, now).await.unwrap().unwrap();
        if let Some(role) = role {
            members::put(&mut tx, project, id, role, now).await.unwrap();
        }
    }
    tx.commit().await.unwrap();
}

/// A closed port.
fn nowhere() -> EnginePlace {
    EnginePlace::at("127.0.0.1:1")
}

fn engine(place: &EnginePlace) -> Engine {
    Engine::new(EngineSettings::at(place, "test".parse().unwrap(), "gateway").unwrap())
}

/// What carries commands to another engine than that of these parts.
fn dispatcher(place: &EnginePlace, parts: &AppParts) -> Arc<Dispatcher> {
    let (clock, telemetry) = (Arc::clone(&parts.clock), Arc::clone(&parts.telemetry));
    Dispatcher::new(parts.store.clone(), engine(place), clock, TimeDelta::hours(12), telemetry)
}

/// A gateway without sign-in; its engine is a closed port.
pub fn parts(store: Store, blobs: Blobs, key: GatewayKey, clock: dispatch::Clock) -> AppParts {
    let telemetry = Arc::new(Telemetry::new(Role::Gateway, &TelemetrySettings::default()).unwrap());
    let dispatcher = Dispatcher::new(
        store.clone(),
        engine(&nowhere()),
        Arc::clone(&clock),
        TimeDelta::hours(12),
        Arc::clone(&telemetry),
    );
    let webhook_secrets = PlatformSecrets { current: HookSecret::new("secret").unwrap(), previous: None };
    AppParts {
        store,
        dispatcher,
        blobs,
        webhook_secrets,
        key,
        buffer_bytes: None,
        egress_hosts: HostList::default(),
        clock,
        telemetry,
        sign_in: None,
        sealing: None,
        engine_ui: None,
    }
}
