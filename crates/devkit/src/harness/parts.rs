//! The roles of a test's platform, in this process.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use activities::{
    platform::Places, reconcile::Retention, run_steps::show_state, run_token::RunTokenKey, settings::WorkerSettings,
    worker,
};
use anyhow::Context;
use dispatch::{Dispatcher, Engine, EnginePlace, EngineSettings};
use domain::{
    egress::HostList,
    hook_log::WebhookMode,
    ids::{EngineNamespace, Instance},
    reconciler::Reconciler,
    run_limits::START_MAX_AGE,
    services_yaml::PlatformBudgets,
    workflow_id,
};
use forge::seal::{OpeningKeys, SealingKeys};
use gateway::{
    AppParts, AppState,
    hook_secrets::GatewayKey,
    model_gateway::{ModelGateway, ModelGatewayParts, Prices, ProviderSettings},
    webhooks,
};
use jobs::JobLauncher;
use role::{LogFormat, SecretText};
use store::{Store, blobs::Blobs};
use telemetry::{Telemetry, TelemetrySettings, catalogue::Role, database, ops::Ops};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use url::Url;
use workflows::messages::{RunRef, Shown};

use super::{
    Hosting,
    hosted::{Hosted, Told, Victim},
    jobs_place::JobsPlace,
    tampering::{Met, Tamper, Tampering},
};

/// The key that the scripted model asks for.
pub const MODEL_KEY: &str = "harness-model-key";

/// What the scripted model's tokens cost in tests: round numbers, nobody's prices.
pub const MODEL_PRICES: &str = "[models.gpt-5-codex]\ninput_usd_per_million = 1\ncached_input_usd_per_million = 0.1\noutput_usd_per_million = 10\nmax_output_tokens = 10000\n";

/// What the worker makes launch tokens with.
pub const RUN_TOKEN_KEY: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

/// Signs the webhooks of the test.
pub const WEBHOOK_SECRET: &str = "harness-webhook-secret";

/// What the roles are started with.
pub(super) struct Setting<'a> {
    pub(super) instance: &'a Instance,
    pub(super) store: &'a Store,
    pub(super) database_url: &'a str,
    pub(super) forge_url: &'a str,
    pub(super) model_url: &'a str,
    pub(super) folder: &'a Path,
    pub(super) jobs: &'a JobsPlace,
    pub(super) program: &'a Path,
    pub(super) hosting: Hosting,
    pub(super) tamper: Option<Tamper>,
    pub(super) webhooks: WebhookMode,
    pub(super) namespace: &'a EngineNamespace,
    pub(super) binary: Option<&'a Path>,
    pub(super) budgets: PlatformBudgets,
    pub(super) telemetry: TelemetrySettings,
}

/// The worker in this process.
struct OwnWorker {
    running: worker::Running,
    /// What its activities have at hand.
    at_hand: Arc<activities::platform::Platform>,
}

/// The roles at work.
pub(super) struct Running {
    pub(super) gateway_url: String,
    model_gateway_url: String,
    keys: OpeningKeys,
    gateway_key: GatewayKey,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    worker: Option<OwnWorker>,
    hosted: Option<Hosted>,
    /// What the roles in this process tell about themselves.
    pub(super) ops: Vec<Ops>,
    again: Again,
    pub(super) met: Met,
}

/// A server that was asked to stop has so long for the requests under way.
const LAST_REQUESTS: std::time::Duration = std::time::Duration::from_secs(5);

/// What it takes to start another worker.
struct Again {
    instance: Instance,
    database_url: String,
    forge_url: Url,
    folder: PathBuf,
    launcher: Arc<dyn JobLauncher>,
    /// Where what Jobs reach listens.
    host: IpAddr,
    tamper: Option<Tamper>,
    webhooks: WebhookMode,
    budgets: PlatformBudgets,
    telemetry: TelemetrySettings,
}

/// A folder that the users of Jobs can reach.
pub(super) fn folder() -> anyhow::Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("codex-k8s-test-").tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

pub(super) fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub(super) fn codex() -> anyhow::Result<PathBuf> {
    from_environment("CODEX_K8S_CODEX").map(PathBuf::from)
}

fn from_environment(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set: run it through \"cargo dev test\""))
}

impl Running {
    pub(super) async fn start(setting: &Setting<'_>) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let mut tasks = Vec::new();
        let upstream = setting.model_url.parse()?;
        let key = SecretText::new(MODEL_KEY);
        let telemetry = Arc::new(Telemetry::new(Role::ModelGateway, &setting.telemetry)?);
        let store = database::watched(setting.store.clone(), &telemetry);
        let models = ModelGateway::new(ModelGatewayParts {
            store,
            providers: vec![ProviderSettings::single(upstream, key)],
            prices: Prices::parse(MODEL_PRICES).map_err(anyhow::Error::msg)?,
            blobs: Some(Blobs::local(&setting.folder.join("blobs"))?),
            clock: forge::system_clock(),
            telemetry,
        })?;
        let ops = vec![models.ops()];
        let (model_gateway_url, serving) = serve(models.router(), setting.jobs.host, &stop).await?;
        tasks.push(serving);
        let (alive, stopped) = (models.keep_alive(), stop.clone());
        tasks.push(tokio::spawn(async move {
            stopped.run_until_cancelled(alive).await;
        }));
        let again = Again {
            instance: setting.instance.clone(),
            database_url: setting.database_url.to_owned(),
            forge_url: setting.forge_url.parse()?,
            folder: setting.folder.to_owned(),
            launcher: Arc::clone(&setting.jobs.launcher),
            host: setting.jobs.host,
            tamper: setting.tamper,
            webhooks: setting.webhooks,
            budgets: setting.budgets,
            telemetry: setting.telemetry.clone(),
        };
        let keys = OpeningKeys::generate(&mut rand::rng());
        let (gateway_key, worker, hosted) = (GatewayKey::generate(), None, None);
        let mut running = Self {
            gateway_url: String::new(),
            model_gateway_url,
            keys,
            gateway_key,
            stop,
            tasks,
            worker,
            hosted,
            ops,
            again,
            met: Met::default(),
        };
        match setting.hosting {
            Hosting::InProcess => running.host_here(setting).await?,
            Hosting::Processes => running.host_apart(setting).await?,
        }
        Ok(running)
    }

    async fn host_here(&mut self, setting: &Setting<'_>) -> anyhow::Result<()> {
        self.gateway_url = self.add_gateway(setting.store).await?;
        let worker = self.start_worker().await?;
        self.ops.push(worker::ops(&worker.at_hand));
        self.worker = Some(worker);
        Ok(())
    }

    async fn host_apart(&mut self, setting: &Setting<'_>) -> anyhow::Result<()> {
        let hosted = Hosted::start(&Told {
            program: setting.program,
            instance: setting.instance.as_str(),
            database_url: setting.database_url,
            forge_url: setting.forge_url,
            model_gateway_url: &self.model_gateway_url,
            folder: setting.folder,
            keys: &self.keys,
            gateway_key: &self.gateway_key,
            codex: &codex()?,
            webhooks: setting.webhooks,
            namespace: setting.namespace,
            binary: setting.binary,
            jobs: setting.jobs,
        })
        .await?;
        self.gateway_url = hosted.gateway_url();
        self.hosted = Some(hosted);
        Ok(())
    }

    /// One more gateway on the same database.
    pub(super) async fn add_gateway(&mut self, store: &Store) -> anyhow::Result<String> {
        let router = self.router(store)?;
        let (url, serving) = serve(router, self.again.host, &self.stop).await?;
        self.tasks.push(serving);
        Ok(url)
    }

    fn router(&mut self, store: &Store) -> anyhow::Result<axum::Router> {
        let engine = engine(&self.again.instance, "gateway")?;
        let clock = forge::system_clock();
        let telemetry = Arc::new(Telemetry::new(Role::Gateway, &self.again.telemetry)?);
        let store = database::watched(store.clone(), &telemetry);
        let watch = Arc::clone(&telemetry);
        let dispatcher = Dispatcher::new(store.clone(), engine, Arc::clone(&clock), START_MAX_AGE, watch);
        self.tasks.push(tokio::spawn(Arc::clone(&dispatcher).sweep_until(self.stop.clone().cancelled_owned())));
        let secret = webhooks::HookSecret::new(WEBHOOK_SECRET).context("the webhook secret is empty")?;
        let state = AppState::new(AppParts {
            store,
            dispatcher,
            blobs: Blobs::local(&self.again.folder.join("blobs"))?,
            webhook_secrets: webhooks::PlatformSecrets { current: secret, previous: None },
            key: self.gateway_key.clone(),
            buffer_bytes: None,
            egress_hosts: HostList::default(),
            clock,
            telemetry,
            sign_in: None,
            sealing: None,
            engine_ui: None,
        });
        let (gaps, stop) = (state.clone().keep_gaps(), self.stop.clone());
        self.tasks.push(tokio::spawn(async move {
            stop.run_until_cancelled(gaps).await;
        }));
        self.ops.push(state.ops());
        Ok(gateway::router(state))
    }

    /// The processes, where the roles are some.
    pub(super) fn hosted(&mut self) -> anyhow::Result<&mut Hosted> {
        self.hosted.as_mut().context("only a platform of processes has somebody to kill")
    }

    /// The engine that the roles use, as an operator reaches it.
    pub(super) fn operators_engine(&self) -> anyhow::Result<Engine> {
        match &self.hosted {
            Some(hosted) => engine_at(&hosted.engine(), &self.again.instance, "operator"),
            None => engine(&self.again.instance, "operator"),
        }
    }

    pub(super) const fn gateway_key(&self) -> &GatewayKey {
        &self.gateway_key
    }

    fn own_worker(&self) -> anyhow::Result<&OwnWorker> {
        self.worker.as_ref().context("no worker runs in this process")
    }

    pub(super) async fn look(&self, at: RunRef) -> anyhow::Result<Shown> {
        Ok(show_state::run(&self.own_worker()?.at_hand, at).await?)
    }

    pub(super) async fn renew_worker(&self) -> anyhow::Result<()> {
        self.own_worker()?.running.renew().await
    }

    pub(super) async fn stop_worker(&mut self) -> anyhow::Result<()> {
        self.worker.take().context("no worker runs in this process")?.running.stop().await
    }

    pub(super) async fn start_another_worker(&mut self) -> anyhow::Result<()> {
        let worker = self.start_worker().await?;
        let ops = worker::ops(&worker.at_hand);
        self.worker = Some(worker);
        self.ops.retain(|other| other.telemetry.role() != ops.telemetry.role());
        self.ops.push(ops);
        Ok(())
    }

    pub(super) fn pid(&self, role: Victim) -> Option<u32> {
        self.hosted.as_ref()?.pid(role)
    }

    pub(super) fn sealing(&self) -> &SealingKeys {
        self.keys.sealing()
    }

    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(worker) = self.worker.take() {
            worker.running.stop().await?;
            // The suite's Temporal goes on, and would go on starting what nobody works at any more.
            let engine = self.operators_engine()?;
            for name in Reconciler::ALL {
                engine.delete_schedule(&workflow_id::reconcile(&self.again.instance, *name)).await?;
            }
        }
        if let Some(hosted) = self.hosted.take() {
            hosted.stop().await?;
        }
        self.stop.cancel();
        for task in self.tasks {
            // The connection of a pod that is gone with its network stays open for a while.
            if let Ok(ended) = tokio::time::timeout(LAST_REQUESTS, task).await {
                ended?;
            }
        }
        Ok(())
    }

    async fn start_worker(&self) -> anyhow::Result<OwnWorker> {
        let mirrors = self.again.folder.join("mirrors");
        let settings = WorkerSettings {
            of_launcher: Vec::new(),
            instance: self.again.instance.clone(),
            database_url: SecretText::new(self.again.database_url.clone()),
            engine: suites_engine()?,
            forge_url: self.again.forge_url.clone(),
            blob_dir: self.again.folder.join("blobs"),
            places: Places {
                gateway_url: self.gateway_url.parse()?,
                model_url: self.model_gateway_url.parse()?,
                scratch: mirrors.join("scratch"),
            },
            mirror_dir: mirrors,
            opening_keys: self.keys.clone(),
            run_token_key: RunTokenKey::parse(RUN_TOKEN_KEY)?,
            paced: false,
            webhooks: self.again.webhooks,
            retention: Retention { payload_days: 30, log_days: 90, checkpoint_days: 30, setup_cache_days: 14 },
            budgets: self.again.budgets,
            log_format: LogFormat::Text,
            telemetry: self.again.telemetry.clone(),
        };
        let at_hand = Arc::new(worker::build(settings, Arc::clone(&self.again.launcher))?);
        let client = at_hand.dispatcher.engine().client().await?;
        let (tamper, met, hosts) = (self.again.tamper, self.met.clone(), Arc::clone(&at_hand));
        let options = move || {
            let mut options = worker::options(&hosts)?;
            if let Some(how) = tamper {
                options.activity_inbound_interceptor(Tampering::new(how, met.clone(), Arc::clone(&hosts)));
            }
            Ok(options)
        };
        Ok(OwnWorker { running: worker::start(client, Arc::clone(&at_hand), options)?, at_hand })
    }
}

/// The suite's Temporal.
pub(super) fn engine(instance: &Instance, role: &str) -> anyhow::Result<Engine> {
    engine_at(&suites_engine()?, instance, role)
}

fn suites_engine() -> anyhow::Result<EnginePlace> {
    Ok(EnginePlace::at(from_environment("CODEX_K8S_TEST_TEMPORAL")?))
}

fn engine_at(place: &EnginePlace, instance: &Instance, role: &str) -> anyhow::Result<Engine> {
    Ok(Engine::new(EngineSettings::at(place, instance.clone(), role)?))
}

async fn serve(
    router: axum::Router,
    host: IpAddr,
    stop: &CancellationToken,
) -> anyhow::Result<(String, JoinHandle<()>)> {
    let listener = TcpListener::bind((host, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let stopped = stop.clone().cancelled_owned();
    let task = tokio::spawn(async move {
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        if let Err(error) = axum::serve(listener, service).with_graceful_shutdown(stopped).await {
            tracing::error!(%error, "a role stopped serving");
        }
    });
    Ok((url, task))
}
