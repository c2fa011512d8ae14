//! A gateway with one run at work, and a host outside of it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use chrono::{TimeDelta, Utc};
use dispatch::{Dispatcher, Engine, EnginePlace, EngineSettings};
use domain::{
    egress::HostList,
    event::{Sender, Subject, SubjectKind},
    ids::{Attempt, RunId},
    job_tokens::{self, SessionHashes, launch_token, session_token},
    triggers::{BusinessKey, Trigger},
};
use gateway::{AppParts, AppState, hook_secrets::GatewayKey, webhooks};
use serde_json::json;
use store::{
    JobState, Store,
    attempts::{self, JobUpdate},
    blobs::Blobs,
    repositories::{self, NewProject, NewRepository},
    runs::{self, NewRun, NewRunResult},
    testing::TestDatabase,
    tokens::{self, Claim},
};
use telemetry::{Telemetry, TelemetrySettings, catalogue::Role};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    runtime::Runtime,
};

/// What the host outside answers.
pub(crate) const ANSWER: &str = "hello from outside";

pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) run: RunId,
    pub(crate) session: String,
    pub(crate) gateway: SocketAddr,
    /// Its own, so that ending it ends connections that are open, too.
    server: Option<Runtime>,
    folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        let session = session_token([7; 32]);
        let run = at_work(&database, &session).await;
        let folder = tempfile::tempdir().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let gateway = listener.local_addr().unwrap();
        let server = Some(serve(listener, database.url(), folder.path()));
        Self { database, run, session, gateway, server, folder }
    }

    /// Nobody listens at its address any more.
    pub(crate) async fn gateway_leaves(&mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown_background();
        }
        while std::net::TcpStream::connect(self.gateway).is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn gateway_comes_back(&mut self) {
        let listener = std::net::TcpListener::bind(self.gateway).unwrap();
        self.server = Some(serve(listener, self.database.url(), self.folder.path()));
    }

    /// What `services.yaml` on the default branch says about the way out.
    pub(crate) async fn allow(&self, hosts: &[&str]) {
        let config = json!({ "version": 1, "egress": { "allow": hosts } });
        let mut conn = self.database.store().acquire().await.unwrap();
        let all = repositories::list(&mut conn).await.unwrap();
        repositories::set_config(&mut conn, all[0].id, Some(config), &"a".repeat(40), None).await.unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown_background();
        }
    }
}

fn serve(listener: std::net::TcpListener, database_url: &str, folder: &Path) -> Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    listener.set_nonblocking(true).unwrap();
    let (database_url, blobs) = (database_url.to_owned(), Blobs::local(folder).unwrap());
    runtime.spawn(async move {
        let router = gateway::router(state(Store::connect_lazy(&database_url, 4).unwrap(), blobs));
        axum::serve(TcpListener::from_std(listener).unwrap(), router).await.unwrap();
    });
    runtime
}

fn state(store: Store, blobs: Blobs) -> AppState {
    let engine =
        Engine::new(EngineSettings::at(&EnginePlace::at("127.0.0.1:1"), "test".parse().unwrap(), "gateway").unwrap());
    let clock: dispatch::Clock = Arc::new(Utc::now);
    let telemetry = Arc::new(Telemetry::new(Role::Gateway, &TelemetrySettings::default()).unwrap());
    let watch = Arc::clone(&telemetry);
    let dispatcher = Dispatcher::new(store.clone(), engine, Arc::clone(&clock), TimeDelta::hours(12), watch);
    let current = webhooks::HookSecret::new("unused").unwrap();
    AppState::new(AppParts {
        store,
        dispatcher,
        blobs,
        webhook_secrets: webhooks::PlatformSecrets { current, previous: None },
        key: GatewayKey::generate(),
        buffer_bytes: None,
        egress_hosts: "platform.test".parse::<HostList>().unwrap(),
        clock,
        telemetry,
        sign_in: None,
        sealing: None,
        engine_ui: None,
    })
}

async fn at_work(database: &TestDatabase, session: &str) -> RunId {
    let mut conn = database.store().acquire().await.unwrap();
    let now = Utc::now();
    let new = NewProject { slug: "demo", slots: 1, settings: json!({}), now };
    let project_id = repositories::insert_project(&mut conn, new).await.unwrap();
    let new = NewRepository {
        project: project_id,
        forge_repo_id: 1,
        owner: "acme",
        name: "greeter",
        default_branch: "main",
        private: true,
        archived: false,
        credential: None,
        now,
    };
    let repository_id = repositories::upsert_repository(&mut conn, new).await.unwrap();
    let new = NewRun {
        repository_id,
        project_id,
        subject: Subject { kind: SubjectKind::Issue, number: 1 },
        subject_title: "The greeting is wrong",
        agent: &"dev".parse().unwrap(),
        trigger: &Trigger::Manual { at: now },
        business_key: &BusinessKey::by_hand("one"),
        requested_by: &Sender { id: 1, login: "ada".to_owned(), is_bot: false },
        instructions: "",
        cause_chain: &[],
        machine_depth: 0,
        deadline_at: now + TimeDelta::hours(1),
        now,
    };
    let NewRunResult::Started(run) = runs::insert(&mut conn, &new).await.unwrap() else {
        panic!("it is there already")
    };
    let hash = job_tokens::hash(&launch_token([7; 32]));
    let job = JobUpdate { state: JobState::Running, name: Some("run-1"), token_hash: Some(&hash), now };
    attempts::set_job(&mut conn, run, Attempt::FIRST, job).await.unwrap();
    let claim = Claim { run, attempt: Attempt::FIRST, by: "pod-1", hashes: SessionHashes::of(session), now };
    tokens::claim(&mut conn, claim).await.unwrap();
    run
}

/// A host that is not on this machine, as far as squid can tell; it answers on the ports of HTTP and, without TLS, of HTTPS. Its
/// address is of the documentation network, which is none of the private ones, and each test has one of its own.
///
/// # Errors
/// Why it can't be had here.
pub(crate) async fn host_outside() -> Result<Ipv4Addr, String> {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let address = Ipv4Addr::new(203, 0, 113, NEXT.fetch_add(1, Ordering::Relaxed));
    let put = Command::new("ip").args(["address", "replace", &format!("{address}/32"), "dev", "lo"]).output();
    match put {
        Ok(output) if output.status.success() => {}
        Ok(output) => return Err(format!("ip: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => return Err(format!("ip: {error}")),
    }
    for port in [80, 443] {
        let listener = TcpListener::bind((address, port)).await.map_err(|error| format!("port {port}: {error}"))?;
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 4096]).await;
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{ANSWER}",
                        ANSWER.len()
                    );
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
    }
    Ok(address)
}
