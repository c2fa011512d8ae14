//! `/readyz` says what is so, while the parts that a role rests on go away and come back.

use std::{net::SocketAddr, sync::Arc};

use activities::{platform::Places, reconcile::Retention, run_token::RunTokenKey, settings::WorkerSettings, worker};
use anyhow::Context;
use chrono::{TimeDelta, Utc};
use devkit::{
    harness::{Detour, PATIENCE, until},
    launcher::ProcessLauncher,
};
use dispatch::{Dispatcher, Engine, EnginePlace, EngineSettings};
use domain::{egress::HostList, hook_log::WebhookMode, services_yaml::PlatformBudgets};
use forge::seal::OpeningKeys;
use gateway::{
    AppParts, AppState,
    hook_secrets::GatewayKey,
    model_gateway::{ModelGateway, ModelGatewayParts, Prices, ProviderSettings},
    webhooks::{HookSecret, PlatformSecrets},
};
use role::{LogFormat, SecretText};
use serde_json::Value;
use store::{Store, blobs::Blobs, testing::TestDatabase};
use telemetry::{
    Telemetry, TelemetrySettings,
    catalogue::Role,
    ops::{Ops, Served},
};
use url::Url;

/// Real services, each behind a way that can be cut.
struct Services {
    _database: TestDatabase,
    postgres: Detour,
    postgres_url: String,
    temporal: Detour,
    folder: tempfile::TempDir,
}

impl Services {
    async fn new() -> anyhow::Result<Self> {
        let database = TestDatabase::create().await;
        let mut url: Url = database.url().parse()?;
        let target = *url.socket_addrs(|| None)?.first().context("the database has no address")?;
        let postgres = Detour::to(target).await?;
        url.set_port(Some(postgres.address.port())).map_err(|()| anyhow::anyhow!("no port"))?;
        let temporal: SocketAddr = std::env::var("CODEX_K8S_TEST_TEMPORAL")?.parse()?;
        let temporal = Detour::to(temporal).await?;
        Ok(Self { _database: database, postgres, postgres_url: url.into(), temporal, folder: tempfile::tempdir()? })
    }

    fn store(&self) -> anyhow::Result<Store> {
        Ok(Store::connect_lazy(&self.postgres_url, 4)?)
    }

    fn gateway(&self) -> anyhow::Result<Ops> {
        let store = self.store()?;
        let engine =
            EngineSettings::at(&EnginePlace::at(self.temporal.address.to_string()), "ready".parse()?, "gateway")?;
        let telemetry = Arc::new(Telemetry::new(Role::Gateway, &TelemetrySettings::default())?);
        let clock: dispatch::Clock = Arc::new(Utc::now);
        let (engine, watch) = (Engine::new(engine), Arc::clone(&telemetry));
        let dispatcher = Dispatcher::new(store.clone(), engine, Arc::clone(&clock), TimeDelta::hours(12), watch);
        let secret = HookSecret::new("secret").context("no secret")?;
        let parts = AppParts {
            store,
            dispatcher,
            blobs: Blobs::local(&self.folder.path().join("blobs"))?,
            webhook_secrets: PlatformSecrets { current: secret, previous: None },
            key: GatewayKey::generate(),
            buffer_bytes: None,
            egress_hosts: HostList::default(),
            clock,
            telemetry,
            sign_in: None,
            sealing: None,
            engine_ui: None,
        };
        Ok(AppState::new(parts).ops())
    }

    fn model_gateway(&self) -> anyhow::Result<Ops> {
        let telemetry = Arc::new(Telemetry::new(Role::ModelGateway, &TelemetrySettings::default())?);
        let parts = ModelGatewayParts {
            store: self.store()?,
            providers: vec![ProviderSettings::single("http://127.0.0.1:1".parse()?, SecretText::new("key"))],
            prices: Prices::default(),
            blobs: None,
            clock: Arc::new(Utc::now),
            telemetry,
        };
        Ok(ModelGateway::new(parts)?.ops())
    }

    fn worker(&self) -> anyhow::Result<activities::platform::Platform> {
        let folder = self.folder.path();
        let launcher =
            ProcessLauncher::new(&folder.join("jobs"), env!("CARGO_BIN_EXE_dev").as_ref(), "codex".as_ref())?;
        let nowhere: Url = "http://127.0.0.1:1".parse()?;
        let settings = WorkerSettings {
            of_launcher: Vec::new(),
            instance: format!("ready-{}", uuid::Uuid::now_v7().simple()).parse()?,
            database_url: SecretText::new(self.postgres_url.clone()),
            engine: EnginePlace::at(self.temporal.address.to_string()),
            forge_url: nowhere.clone(),
            blob_dir: folder.join("blobs"),
            places: Places { gateway_url: nowhere.clone(), model_url: nowhere, scratch: folder.join("scratch") },
            mirror_dir: folder.join("mirrors"),
            opening_keys: OpeningKeys::generate(&mut rand::rng()),
            run_token_key: RunTokenKey::parse(&"5a".repeat(32))?,
            paced: false,
            webhooks: WebhookMode::Push,
            retention: Retention { payload_days: 30, log_days: 90, checkpoint_days: 30, setup_cache_days: 14 },
            budgets: PlatformBudgets::default(),
            log_format: LogFormat::Text,
            telemetry: TelemetrySettings::default(),
        };
        worker::build(settings, Arc::new(launcher))
    }
}

/// Asks over HTTP until the answer has this status and this word.
async fn await_answer(served: &Served, status: u16, word: &str) -> anyhow::Result<Value> {
    let url = format!("http://{}/readyz", served.address);
    let last = std::cell::RefCell::new(String::new());
    let found = until(PATIENCE, async || {
        let answer = reqwest::get(&url).await?;
        let now = answer.status().as_u16();
        let body: Value = answer.json().await?;
        last.replace(format!("{now}: {body}"));
        Ok((now == status && body["status"] == word).then_some(body))
    })
    .await?;
    found.with_context(|| format!("never {status} and {word}; last {}", last.borrow()))
}

fn part(report: &Value, name: &str) -> Value {
    let parts = report["parts"].as_array().cloned().unwrap_or_default();
    parts.into_iter().find(|part| part["name"] == name).unwrap_or_default()
}

async fn serve(ops: Ops) -> anyhow::Result<Served> {
    Ok(ops.serve(([127, 0, 0, 1], 0).into()).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_needs_its_database_but_not_temporal() -> anyhow::Result<()> {
    let services = Services::new().await?;
    let served = serve(services.gateway()?).await?;
    let ready = await_answer(&served, 200, "ready").await?;
    assert!(ready["detail"].is_null(), "{ready}");
    assert!(["postgres", "keys", "temporal"].iter().all(|name| part(&ready, name)["ok"] == true), "{ready}");

    services.temporal.cut();
    let degraded = await_answer(&served, 200, "degraded").await?;
    assert!(degraded["detail"].as_str().is_some_and(|text| text.contains("Temporal")), "{degraded}");
    assert_eq!(part(&degraded, "temporal")["needed"], false);
    assert!(part(&degraded, "temporal")["since"].as_str() > part(&ready, "temporal")["since"].as_str());
    assert_eq!(part(&degraded, "postgres")["since"], part(&ready, "postgres")["since"]);

    services.postgres.cut();
    let unready = await_answer(&served, 503, "unready").await?;
    assert!(unready["detail"].as_str().is_some_and(|text| text.starts_with("Postgres does not answer")), "{unready}");

    services.postgres.mend();
    services.temporal.mend();
    await_answer(&served, 200, "ready").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_needs_its_database_temporal_and_polling() -> anyhow::Result<()> {
    let services = Services::new().await?;
    let platform = Arc::new(services.worker()?);
    let served = serve(worker::ops(&platform)).await?;
    let starting = await_answer(&served, 503, "unready").await?;
    assert!(part(&starting, "polling")["detail"].as_str().is_some_and(|text| text.contains("does not poll")));
    let client = platform.dispatcher.engine().client().await?;
    let hosts = Arc::clone(&platform);
    let running = worker::start(client, Arc::clone(&platform), move || worker::options(&hosts))?;
    await_answer(&served, 200, "ready").await?;

    services.temporal.cut();
    let alone = await_answer(&served, 503, "unready").await?;
    assert!(alone["detail"].as_str().is_some_and(|text| text.contains("Temporal")), "{alone}");
    services.temporal.mend();
    await_answer(&served, 200, "ready").await?;
    services.postgres.cut();
    let metrics = reqwest::get(format!("http://{}/metrics", served.address)).await?.text().await?;
    assert!(metrics.contains("codexk8s_scrape_failures_total 1") && !metrics.contains("codexk8s_runs{"), "{metrics}");
    await_answer(&served, 503, "unready").await?;
    services.postgres.mend();
    await_answer(&served, 200, "ready").await?;
    let alive = reqwest::get(format!("http://{}/healthz", served.address)).await?;
    assert_eq!(alive.status().as_u16(), 200);

    running.stop().await?;
    await_answer(&served, 503, "unready").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_gateway_needs_its_database() -> anyhow::Result<()> {
    let services = Services::new().await?;
    let served = serve(services.model_gateway()?).await?;
    let ready = await_answer(&served, 200, "ready").await?;
    assert_eq!(part(&ready, "upstream key")["ok"], true);
    services.postgres.cut();
    await_answer(&served, 503, "unready").await?;
    services.postgres.mend();
    await_answer(&served, 200, "ready").await?;
    Ok(())
}
