//! A gateway on a port of its own, with one connected repository.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use dispatch::{Dispatcher, Engine, EnginePlace, EngineSettings};
use domain::{
    egress::HostList,
    ids::{ProjectId, RepositoryId, RunId},
};
use gateway::{
    AppParts, AppState,
    hook_secrets::GatewayKey,
    webhooks::{HookSecret, PlatformSecrets},
};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::{
    PgConnection, Store,
    blobs::Blobs,
    commands::{self, Command},
    deliveries::{self, Delivery},
    repositories::{self, NewProject, NewRepository},
    testing::TestDatabase,
};
use telemetry::{Telemetry, TelemetrySettings, catalogue::Role};
use tokio::{net::TcpListener, task::JoinHandle};

/// The forge's id of the repository that GitHub's examples are about.
pub const FORGE_REPOSITORY: i64 = 186_853_002;

pub const SECRET: &str = "the platform's own";
pub const SECRET_BEFORE: &str = "the one before";

pub struct World {
    pub state: AppState,
    pub key: GatewayKey,
    pub project: ProjectId,
    pub repository: RepositoryId,
    pub blobs: Blobs,
    pub address: SocketAddr,
    pub client: Client,
    pub database: TestDatabase,
    server: JoinHandle<()>,
    folder: tempfile::TempDir,
}

impl World {
    /// One whose gateway has a single connection to the database: who takes a second one while having the first waits in vain.
    pub async fn new() -> Self {
        Self::with(1, None).await
    }

    /// One whose deliveries can wait for each other.
    pub async fn with_connections(connections: u32) -> Self {
        Self::with(connections, None).await
    }

    pub async fn with_buffer(bytes: usize) -> Self {
        Self::with(1, Some(bytes)).await
    }

    async fn with(connections: u32, buffer_bytes: Option<usize>) -> Self {
        let database = TestDatabase::create().await;
        let mut conn = database.store().acquire().await.unwrap();
        let (project, repository) = connect(&mut conn).await;
        drop(conn);
        // As the role opens it, with its limits on statements and locks.
        let store = Store::connect_lazy(database.url(), connections).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::local(folder.path()).unwrap();
        let key = GatewayKey::generate();
        let state = state(store, blobs.clone(), key.clone(), buffer_bytes);
        let (address, server) = listen(state.clone()).await;
        Self { state, key, project, repository, blobs, address, client: client(), database, server, folder }
    }

    pub fn store(&self) -> &Store {
        self.database.store()
    }

    /// Where the blobs lie.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends an event signed with the platform's secret.
    pub async fn send(&self, event: &str, guid: &str, payload: &Value) -> Value {
        let response = self.webhook(event, guid, payload.to_string().into_bytes()).send().await.unwrap();
        let (status, body) = (response.status(), response.text().await.unwrap());
        assert_eq!(status.as_u16(), 202, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    pub fn webhook(&self, event: &str, guid: &str, body: Vec<u8>) -> RequestBuilder {
        let signature = sign(SECRET, &body);
        self.unsigned(event, guid, body).header("x-hub-signature-256", signature)
    }

    pub fn unsigned(&self, event: &str, guid: &str, body: Vec<u8>) -> RequestBuilder {
        self.client
            .post(self.url("/webhooks/github"))
            .header("content-type", "application/json")
            .header("x-github-event", event)
            .header("x-github-delivery", guid)
            .body(body)
    }

    pub async fn deliveries(&self) -> Vec<Delivery> {
        deliveries::list_recent(&mut self.store().acquire().await.unwrap(), 1_000).await.unwrap()
    }

    pub async fn commands(&self, run: RunId) -> Vec<Command> {
        commands::list_for_run(&mut self.store().acquire().await.unwrap(), run).await.unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub fn client() -> Client {
    Client::builder().timeout(Duration::from_secs(60)).no_proxy().build().unwrap()
}

/// A gateway's parts over some database, with an engine that is not there.
pub fn state(store: Store, blobs: Blobs, key: GatewayKey, buffer_bytes: Option<usize>) -> AppState {
    let engine = EngineSettings::at(&EnginePlace::at("127.0.0.1:1"), "test".parse().unwrap(), "gateway").unwrap();
    let clock: dispatch::Clock = Arc::new(Utc::now);
    let telemetry = Arc::new(Telemetry::new(Role::Gateway, &TelemetrySettings::default()).unwrap());
    let engine = Engine::new(engine);
    let dispatcher = Dispatcher::new(store.clone(), engine, clock.clone(), TimeDelta::hours(12), telemetry.clone());
    let webhook_secrets =
        PlatformSecrets { current: HookSecret::new(SECRET).unwrap(), previous: HookSecret::new(SECRET_BEFORE) };
    let egress_hosts = HostList::default();
    AppState::new(AppParts {
        store,
        dispatcher,
        blobs,
        webhook_secrets,
        key,
        buffer_bytes,
        egress_hosts,
        clock,
        telemetry,
        sign_in: None,
        sealing: None,
        engine_ui: None,
    })
}

pub async fn listen(state: AppState) -> (SocketAddr, JoinHandle<()>) {
    serve(gateway::router(state)).await
}

pub async fn serve(router: axum::Router) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }))
}

async fn connect(conn: &mut PgConnection) -> (ProjectId, RepositoryId) {
    let new = NewProject { slug: "demo", slots: 3, settings: serde_json::json!({}), now: Utc::now() };
    let project = repositories::insert_project(conn, new).await.unwrap();
    let repository = repositories::upsert_repository(conn, new_repository(project, FORGE_REPOSITORY, "Hello-World"));
    (project, repository.await.unwrap())
}

pub fn new_repository(project: ProjectId, forge_repo_id: i64, name: &str) -> NewRepository<'_> {
    NewRepository {
        project,
        forge_repo_id,
        owner: "Codertocat",
        name,
        default_branch: "master",
        private: false,
        archived: false,
        credential: None,
        now: Utc::now(),
    }
}

pub fn sign(secret: &str, body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// A request that says what the whole is that its body belongs to.
pub fn describing(request: RequestBuilder, whole: &[u8]) -> RequestBuilder {
    request.header("upload-length", whole.len()).header("upload-digest", hex::encode(Sha256::digest(whole)))
}

/// The status and the code of a problem, whose form is checked on the way.
pub async fn problem(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("content-type").as_deref(), Some("application/problem+json"));
    let request_id = header("x-request-id").unwrap();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["status"], status, "{body}");
    assert_eq!(body["request_id"], request_id, "{body}");
    for field in ["type", "title", "detail", "code"] {
        assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{field} of {body}");
    }
    (status, body["code"].as_str().unwrap().to_owned())
}

/// Waits until something holds; fails after a while.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let looking = async {
        let mut look = tokio::time::interval(Duration::from_millis(10));
        while !holds().await {
            look.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looking).await.unwrap_or_else(|_| panic!("{what}"));
}

/// The gateway of a world with another platform secret.
pub fn state_with_secret(world: &World, secret: &str) -> AppState {
    let dispatcher = world.state.dispatcher().clone();
    AppState::new(AppParts {
        store: world.store().clone(),
        dispatcher,
        blobs: world.blobs.clone(),
        webhook_secrets: PlatformSecrets { current: HookSecret::new(secret).unwrap(), previous: None },
        key: world.key.clone(),
        buffer_bytes: None,
        egress_hosts: HostList::default(),
        clock: Arc::new(Utc::now),
        telemetry: Arc::new(Telemetry::new(Role::Gateway, &TelemetrySettings::default()).unwrap()),
        sign_in: None,
        sealing: None,
        engine_ui: None,
    })
}
