//! The whole platform in one process, for one test: real Postgres, real Temporal, real git, real Codex in a process of its
//! own, the stand-in for GitHub and the scripted model. Tests speak as users do: label, comment, await.
//!
//! [`Platform::finish`] ends a test and fails it if anything is left: a held slot, a run or Job at work, an undelivered
//! command; or if row, label, comment and commit status of any run differ.

mod agreement;
mod apps;
mod awaiting;
pub mod canary;
mod detour;
mod hosted;
mod jobs_place;
mod lone_run;
mod model_process;
mod parts;
mod scrape;
mod tampering;
mod wait;
mod webhook;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use dispatch::{Engine, engine::Applied};
use domain::{
    event::{Subject, SubjectKind},
    hook_log::WebhookMode,
    ids::{Attempt, EngineNamespace, Instance, ProjectSlug, RunId},
    job::{JobPresence, LogChunk, LogStream},
    reconciler::Reconciler,
    services_yaml::PlatformBudgets,
    workflow_id,
};
use forge::{Credential, Secret};
use futures::TryStreamExt as _;
use gateway::connecting::ConnectKeys;
use jobs::JobRef;
use store::{
    Store,
    blobs::Blobs,
    log_archives,
    reconcilers::{self, LastRun},
    repositories::{self, Repository},
    runs::{self, Run},
    testing::TestDatabase,
};
use telemetry::TelemetrySettings;
use workflows::messages::{RunRef, Shown};

use self::jobs_place::JobsPlace;
pub use self::{
    apps::{RegisteredApp, all_rights},
    detour::Detour,
    hosted::Victim,
    jobs_place::InCluster,
    lone_run::LoneRun,
    model_process::ModelGatewayProcess,
    parts::{MODEL_KEY, MODEL_PRICES, RUN_TOKEN_KEY, WEBHOOK_SECRET},
    scrape::{Sample, Samples},
    tampering::Tamper,
    wait::until,
};
use crate::{
    connect::{Connection, connect},
    github::{self, Seed, StandIn},
    model::{self, ScriptedModel},
};

/// The repository that the platform is connected to.
pub const REPOSITORY: &str = "acme/greeter";

/// An address that answers nobody: where the hook goes of a platform that its forge can't reach.
const NOWHERE: &str = "http://127.0.0.1:9/webhooks/github";
/// The name of the App that the platform is, where it is one.
pub const APP_SLUG: &str = "codex-k8s";

/// Longest that a test waits for anything: a bound for broken code, not an expectation.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// How to start a platform.
#[derive(Clone, Debug)]
pub struct Options {
    /// The `dev` program, which Jobs run.
    pub program: PathBuf,
    /// Slots of the project.
    pub slots: u32,
    /// Where the roles run.
    pub hosting: Hosting,
    /// Trouble with activities; only where the worker is in the test's own process.
    pub tamper: Option<Tamper>,
    /// How the forge's events come in.
    pub webhooks: WebhookMode,
    /// The engine's namespace; another than `default` only where the roles are processes, with a Temporal of their own.
    pub namespace: EngineNamespace,
    /// What the repository is connected with.
    pub identity: Identity,
    /// Where spans go, if anywhere.
    pub otlp_endpoint: Option<String>,
    /// The cluster in which Jobs run; none: they are processes of this machine.
    pub cluster: Option<InCluster>,
    /// What model calls may use up; only where the worker is in the test's own process.
    pub budgets: PlatformBudgets,
    /// The binary of production, if the roles are processes and are to be that; none: `program`.
    pub binary: Option<PathBuf>,
    /// What programs of Jobs go out through: Jobs in a cluster, and those of roles in this process.
    pub egress_proxy: Option<url::Url>,
}

/// Who the platform is on GitHub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// A person of its own, with a token.
    Person,
    /// A GitHub App.
    App,
}

/// Where gateway and worker run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosting {
    /// In the test's own process, on the suite's Temporal. Writes to the stand-in keep no pace.
    InProcess,
    /// Each in a process of its own, with a Temporal of their own: for tests that kill.
    Processes,
}

/// A platform at work.
pub struct Platform {
    /// The stand-in for GitHub.
    pub forge: StandIn,
    /// The scripted model.
    pub model: ScriptedModel,
    /// The connected repository.
    pub repository: Repository,
    /// This installation; no two tests share one.
    pub instance: Instance,
    /// The gateway's address.
    pub gateway_url: String,
    app: Option<RegisteredApp>,
    jobs: JobsPlace,
    engine: Engine,
    running: parts::Running,
    database: TestDatabase,
    folder: tempfile::TempDir,
}

impl Platform {
    /// Starts everything and connects [`REPOSITORY`].
    ///
    /// # Errors
    /// When a part does not come up.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let folder = parts::folder()?;
        let database = TestDatabase::create().await;
        let store = database.store().clone();
        let seed = Some(Seed::demo());
        let forge_options = github::Options { seed, record: true, ..github::Options::new(folder.path().join("forge")) };
        let forge = StandIn::start(forge_options).await?;
        let model_options =
            model::Options { bind: parts::any_port(), api_key: parts::MODEL_KEY.to_owned(), scenario_dir: None };
        let model = ScriptedModel::start(model_options).await?;
        let instance: Instance = format!("t-{}", &uuid::Uuid::now_v7().simple().to_string()[12..]).parse()?;
        let codex = parts::codex()?;
        let jobs = match &options.cluster {
            Some(cluster) => JobsPlace::in_cluster(cluster, &instance, options.egress_proxy.as_ref()).await?,
            None => {
                let proxy = options.egress_proxy.clone();
                JobsPlace::processes(&folder.path().join("jobs"), &options.program, &codex, proxy)?
            }
        };
        let setting = parts::Setting {
            instance: &instance,
            store: &store,
            database_url: database.url(),
            forge_url: forge.url(),
            model_url: &model.url(),
            folder: folder.path(),
            jobs: &jobs,
            program: &options.program,
            hosting: options.hosting,
            tamper: options.tamper,
            webhooks: options.webhooks,
            namespace: &options.namespace,
            binary: options.binary.as_deref(),
            budgets: options.budgets,
            telemetry: TelemetrySettings { otlp_endpoint: options.otlp_endpoint.clone(), ..Default::default() },
        };
        let running = parts::Running::start(&setting).await?;
        let gateway_url = running.gateway_url.clone();
        let token = |login: &str| {
            forge.token(login).map(Secret::new).with_context(|| format!("the stand-in has no token of {login}"))
        };
        let app = match options.identity {
            Identity::Person => None,
            Identity::App => Some(RegisteredApp::install(&forge, APP_SLUG, Some(&[REPOSITORY]), all_rights())?),
        };
        let credential = match &app {
            None => Credential::Token(token("codex-bot")?),
            Some(app) => app.credential()?,
        };
        let connection = Connection {
            forge_url: forge.url(),
            owner: "acme",
            name: "greeter",
            credential,
            admin_token: token("maintainer")?,
            sealing: running.sealing(),
            slots: options.slots,
            webhook_url: &match options.webhooks {
                WebhookMode::Push => format!("{gateway_url}/webhooks/github"),
                WebhookMode::Pull { .. } => NOWHERE.to_owned(),
            },
            webhook_secret: parts::WEBHOOK_SECRET,
        };
        let repository = connect(&store, &connection).await?;
        let engine = running.operators_engine()?;
        Ok(Self { forge, model, repository, instance, gateway_url, app, jobs, engine, running, database, folder })
    }

    /// The database.
    #[must_use]
    pub fn store(&self) -> &Store {
        self.database.store()
    }

    /// The database's URL, for other programs.
    #[must_use]
    pub fn database_url(&self) -> &str {
        self.database.url()
    }

    /// The blobs of its roles.
    ///
    /// # Errors
    /// The folder is gone.
    pub fn blobs(&self) -> anyhow::Result<Blobs> {
        Ok(Blobs::local(&self.folder.path().join("blobs"))?)
    }

    /// Where the roles and Jobs keep their files and logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The App that the platform is, if it is one.
    #[must_use]
    pub fn app(&self) -> Option<&RegisteredApp> {
        self.app.as_ref()
    }

    /// What requests to connect a repository are sealed with.
    #[must_use]
    pub fn connect_keys(&self) -> ConnectKeys {
        ConnectKeys { gateway: self.running.gateway_key().clone(), sealing: self.running.sealing().clone() }
    }

    /// Stops the worker in this process; what is at work waits for the next one.
    ///
    /// # Errors
    /// When it does not stop.
    pub async fn stop_worker(&mut self) -> anyhow::Result<()> {
        self.running.stop_worker().await
    }

    /// Has another of the SDK's workers take over in this process, as happens by itself after many activities.
    ///
    /// # Errors
    /// When the worker is none of this process, or none can take over.
    pub async fn renew_worker(&self) -> anyhow::Result<()> {
        self.running.renew_worker().await
    }

    /// Shows a run on the forge as its workflow would, once and beside it.
    ///
    /// # Errors
    /// When the worker is none of this process, or the run can't be shown.
    pub async fn look(&self, run: &Run) -> anyhow::Result<Shown> {
        self.running.look(RunRef { run: run.id, attempt: run.attempt }).await
    }

    /// Starts a worker in this process.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_worker(&mut self) -> anyhow::Result<()> {
        self.running.start_another_worker().await
    }

    /// Kills a role with SIGKILL and starts it again.
    ///
    /// # Errors
    /// When the roles are no processes, or the new one does not come up.
    pub async fn kill(&mut self, victim: Victim) -> anyhow::Result<()> {
        self.stop(victim).await?;
        self.bring_up(victim).await
    }

    /// Kills a role with SIGKILL and leaves it dead.
    ///
    /// # Errors
    /// When the roles are no processes, or this one does not run.
    pub async fn stop(&mut self, victim: Victim) -> anyhow::Result<()> {
        self.running.hosted()?.kill(victim).await
    }

    /// Starts a role that was stopped.
    ///
    /// # Errors
    /// When the roles are no processes, or it does not come up.
    pub async fn bring_up(&mut self, victim: Victim) -> anyhow::Result<()> {
        self.running.hosted()?.bring_up(victim).await
    }

    /// The activities that have met the trouble of [`Options::tamper`] so far.
    #[must_use]
    pub fn tampered_with(&self) -> BTreeSet<String> {
        self.running.met.names()
    }

    /// Has a reconciler look now; gives what it found.
    ///
    /// # Errors
    /// When it fails, or does not end within [`PATIENCE`].
    pub async fn reconcile(&self, name: Reconciler) -> anyhow::Result<String> {
        let since = chrono::Utc::now();
        let id = workflow_id::reconcile(&self.instance, name);
        self.await_that("the engine has the schedule", async || {
            let triggered = self.engine.trigger_schedule(&id, None).await?;
            Ok((triggered == Applied::Done).then_some(()))
        })
        .await?;
        let ended = |run: &LastRun| run.name == name && run.started_at >= since && run.ended_at.is_some();
        let run = self
            .await_that(&format!("{name} has looked"), async || {
                let runs = reconcilers::list(&mut *self.store().acquire().await?).await?;
                Ok(runs.into_iter().find(ended))
            })
            .await?;
        match run.error {
            Some(error) => bail!("{name} failed: {error}"),
            None => run.finding.context("it ended without a finding"),
        }
    }

    /// Has a schedule of the project's settings start, as if it were that moment.
    ///
    /// # Errors
    /// When the engine does not know it.
    pub async fn trigger(&self, schedule: &str, at: chrono::DateTime<chrono::Utc>) -> anyhow::Result<()> {
        let id = workflow_id::project_schedule(&self.instance, self.repository.id, schedule);
        match self.engine.trigger_schedule(&id, Some(at)).await? {
            Applied::Done => Ok(()),
            Applied::NoSuchWorkflow => bail!("the engine has no schedule {id}"),
        }
    }

    /// The process of a role, if it has one of its own.
    #[must_use]
    pub fn pid(&self, role: Victim) -> Option<u32> {
        self.running.pid(role)
    }

    /// Starts one more gateway on the same database; gives its address.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn add_gateway(&mut self) -> anyhow::Result<String> {
        let store = self.store().clone();
        self.running.add_gateway(&store).await
    }

    /// Sends a webhook to a gateway as GitHub would; gives the answer.
    ///
    /// # Errors
    /// When the answer is anything but 202.
    pub async fn deliver(
        &self,
        gateway: &str,
        event: &str,
        body: &serde_json::Value,
    ) -> anyhow::Result<serde_json::Value> {
        webhook::send(gateway, event, body).await
    }

    /// What the roles in this process answer with at `/metrics`, by role.
    ///
    /// # Errors
    /// When one does not answer.
    pub async fn scrape(&self) -> anyhow::Result<BTreeMap<&'static str, Samples>> {
        scrape::all(&self.running.ops).await
    }

    /// Kills everything of a Job without a word.
    ///
    /// # Errors
    /// When the launcher fails.
    pub async fn kill_job(&self, run: RunId, attempt: Attempt) -> anyhow::Result<()> {
        let project = self.project().await?;
        Ok(self.jobs.launcher.stop(&JobRef { project, run, attempt }, Duration::ZERO).await?)
    }

    /// What became of the Job of an attempt.
    ///
    /// # Errors
    /// When the launcher fails.
    pub async fn presence(&self, run: RunId, attempt: Attempt) -> anyhow::Result<JobPresence> {
        let project = self.project().await?;
        Ok(self.jobs.launcher.presence(&JobRef { project, run, attempt }).await?)
    }

    /// What the launcher of Jobs calls the project.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn project(&self) -> anyhow::Result<ProjectSlug> {
        let mut conn = self.store().acquire().await?;
        Ok(ProjectSlug::new(repositories::get_project(&mut conn, self.repository.project).await?.slug))
    }

    /// What the Job of a run's newest attempt wrote to a stream, wherever it is kept by now.
    ///
    /// # Errors
    /// When the database or the blobs are away.
    pub async fn output(&self, run: &Run, stream: LogStream) -> anyhow::Result<String> {
        let chunks = log_archives::read(self.store(), &self.blobs()?, run.id, run.attempt, 0).await?;
        let chunks: Vec<LogChunk> = chunks.try_collect().await?;
        Ok(chunks.into_iter().filter(|chunk| chunk.stream == stream).map(|chunk| chunk.text).collect())
    }

    /// The engine, as an operator reaches it.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Opens an issue with that scenario's marker in its title.
    ///
    /// # Errors
    /// When the stand-in refuses.
    pub fn open_issue(&self, scenario: &str) -> anyhow::Result<u64> {
        let title = format!("Names with spaces are greeted badly [scenario:{scenario}]");
        Ok(self.forge.create_issue("maintainer", REPOSITORY, &title, "See the failing test.")?.number)
    }

    /// Puts a label on, as the maintainer.
    ///
    /// # Errors
    /// When the stand-in refuses.
    pub fn label(&self, number: u64, label: &str) -> anyhow::Result<()> {
        Ok(self.forge.label_issue("maintainer", REPOSITORY, number, label)?)
    }

    /// The newest run about an issue, if there is one.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn run_of(&self, number: u64) -> anyhow::Result<Option<Run>> {
        self.run_about(SubjectKind::Issue, number).await
    }

    /// The newest run about an issue or pull request, if there is one.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn run_about(&self, kind: SubjectKind, number: u64) -> anyhow::Result<Option<Run>> {
        let subject = Subject { kind, number: i64::try_from(number)? };
        let mut conn = self.store().acquire().await?;
        Ok(runs::latest_for_subject(&mut conn, self.repository.id, subject).await?)
    }
}
