//! The process that starts the roles, keeps them alive and ends them.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use forge::{Credential, Secret, seal::SealingKeys};
use store::Store;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};

use super::{
    Keys, Ports, State, UpError,
    addresses::url,
    jobs_place::JobsPlace,
    keeper::{Event, Keeper},
    lock::UpLock,
    people,
    plan::{DATABASE, Model, Plan, Planned},
};
use crate::{
    connect::{Connection, connect},
    console::{Step, say, seconds},
    demo::{NAME, OWNER},
    disk,
    file_error::FileError,
    layout::Layout,
    processes::{Running, Warden, end_marked},
    services::{Durability, Postgres, ServiceError, await_ready},
    staff_console, tools,
};

/// Room for a day's work.
const NEEDED_MIB: u64 = 512;
/// Runs of the demo project that work at a time.
const SLOTS: u32 = 3;
const READY_LIMIT: Duration = Duration::from_secs(60);

/// How to start the platform.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The first of the ports.
    pub port_base: u16,
    /// Throw the data of earlier times away.
    pub fresh: bool,
    /// Run Jobs in a cluster.
    pub kube: bool,
}

/// Starts the platform and stays until asked to stop.
///
/// # Errors
/// When it runs already, or something it needs is missing or does not start.
pub async fn up(layout: &Layout, options: Options) -> Result<(), UpError> {
    let began = Instant::now();
    let ports = Ports::from_base(options.port_base)?;
    let _lock = UpLock::take(layout)?;
    let mut stop = StopSignals::listen()?;
    let marker = layout.platform_data().to_string_lossy().into_owned();
    clean_up_after_predecessor(layout, &marker);
    if options.fresh {
        throw_away_data(layout)?;
    }
    demand_room(layout)?;
    let tools = tools::platform_tools(&layout.cache)?;
    ports.demand_free()?;
    let keys = Keys::load_or_make(&layout.platform_data().join("secrets"))?;
    let model = Model::choose(ports, &keys);
    let jobs_place = if options.kube { JobsPlace::in_cluster(layout, ports).await? } else { JobsPlace::Here };
    let console = console(layout)?;
    let plan =
        Plan { layout, ports, keys: &keys, tools: &tools, model: &model, jobs: &jobs_place, marker: &marker, console };
    for folder in plan.folders() {
        fs::create_dir_all(&folder).map_err(FileError::of("create", folder))?;
    }
    rotate_logs(layout);
    let jobs = layout.platform_data().join("jobs");
    remove_staged_programs(&jobs);
    let warden = Warden::post(&marker, &jobs).map_err(UpError::system("post a warden"))?;
    let mut supervisor = Supervisor::new(layout, &plan);
    let outcome = tokio::select! {
        started = supervisor.start(&plan) => started.map(|()| true),
        () = stop.received() => Ok(false),
    };
    if matches!(outcome, Ok(true)) {
        banner(&supervisor.state, &model, &jobs_place, began.elapsed());
        supervisor.supervise(&mut stop).await;
    }
    supervisor.stop().await;
    end_marked(&marker, &jobs);
    warden.dismiss();
    jobs_place.leave()?;
    outcome.map(|_| ())
}

struct Supervisor {
    state_file: PathBuf,
    state: State,
    keepers: Vec<Keeper>,
    /// A role that is not ready yet.
    starting: Option<Running>,
    events: mpsc::UnboundedReceiver<Event>,
    reports: mpsc::UnboundedSender<Event>,
}

impl Supervisor {
    fn new(layout: &Layout, plan: &Plan<'_>) -> Self {
        let (reports, events) = mpsc::unbounded_channel();
        Self {
            state_file: layout.state_file(),
            state: State {
                kubeconfig: plan.jobs.kubeconfig(),
                ..State::new(plan.ports, plan.keys, String::new(), plan.model.upstream.clone())
            },
            keepers: Vec::new(),
            starting: None,
            events,
            reports,
        }
    }

    async fn start(&mut self, plan: &Plan<'_>) -> Result<(), UpError> {
        let postgres = Postgres::prepare(
            &plan.tools.postgres_bin,
            &plan.layout.platform_data().join("postgres"),
            plan.ports.postgres(),
            Durability::Kept,
        )
        .await?;
        self.state.postgres_url = postgres.url(DATABASE);
        self.state.write(&self.state_file)?;
        self.start_one(plan.postgres(&postgres)).await?;
        self.start_one(plan.temporal()).await?;
        let step = Step::start("schema");
        postgres.ensure_database(DATABASE).await?;
        let store = Store::connect(&self.state.postgres_url, 1).await?;
        store::migrate(store.pool()).await?;
        step.done("up to date");
        for planned in plan.own_roles(&self.state.postgres_url)? {
            self.start_one(planned).await?;
        }
        let step = Step::start("connect");
        connect_demo(&store, plan).await?;
        store.pool().close().await;
        step.done(format_args!("{OWNER}/{NAME} sends its events to the gateway"));
        self.state.ready = true;
        self.state.write(&self.state_file)
    }

    async fn start_one(&mut self, planned: Planned) -> Result<(), UpError> {
        let step = Step::start(planned.role.name());
        let running = self.starting.insert(planned.program.spawn().map_err(ServiceError::from)?);
        await_ready(&planned.program, running, &planned.readiness, READY_LIMIT).await?;
        let Some(running) = self.starting.take() else { return Ok(()) };
        self.state.pids.insert(planned.role, running.pid());
        self.keepers.push(Keeper::watch(planned.role, planned.program, running, self.reports.clone()));
        self.state.write(&self.state_file)?;
        step.done(planned.place);
        Ok(())
    }

    async fn supervise(&mut self, stop: &mut StopSignals) {
        loop {
            tokio::select! {
                () = stop.received() => return,
                Some(event) = self.events.recv() => self.note(event),
            }
        }
    }

    fn note(&mut self, event: Event) {
        let time = chrono::Local::now().format("%H:%M:%S");
        match event {
            Event::Died { role, how, pause } => {
                self.state.pids.remove(&role);
                let name = role.name();
                say(format_args!(
                    "{time} {name} ended ({how}); starting it again in {}; see `cargo dev logs {name}`",
                    seconds(pause)
                ));
            }
            Event::Restarted { role, pid } => {
                self.state.pids.insert(role, pid);
                say(format_args!("{time} {} runs again (process {pid})", role.name()));
            }
        }
        if let Err(error) = self.state.write(&self.state_file) {
            say(format_args!("{time} {error}"));
        }
    }

    async fn stop(&mut self) {
        say("Stopping.");
        if let Some(running) = self.starting.take() {
            running.stop(Duration::from_secs(5)).await;
        }
        for keeper in self.keepers.drain(..).rev() {
            let step = Step::start(keeper.role.name());
            keeper.end().await;
            step.done("stopped");
        }
        let _ = fs::remove_file(&self.state_file);
    }
}

/// Builds the console, where the tree has one.
fn console(layout: &Layout) -> Result<Option<PathBuf>, UpError> {
    if !staff_console::is_there(layout) {
        return Ok(None);
    }
    Ok(Some(staff_console::built(layout)?))
}

/// Makes the demo repository one of the platform's, as `repo add` would.
async fn connect_demo(store: &Store, plan: &Plan<'_>) -> Result<(), UpError> {
    let token = |login: &str| Secret::new(plan.keys.forge_tokens.get(login).cloned().unwrap_or_default());
    let sealing =
        SealingKeys::from_file_text(&plan.keys.sealing_public_key).map_err(|error| UpError::Connect(error.into()))?;
    let connection = Connection {
        forge_url: &url(plan.ports.forge()),
        owner: OWNER,
        name: NAME,
        credential: Credential::Token(token("codex-bot")),
        admin_token: token("maintainer"),
        sealing: &sealing,
        slots: SLOTS,
        webhook_url: &format!("{}/webhooks/github", url(plan.ports.gateway())),
        webhook_secret: &plan.keys.webhook_secret,
    };
    let repository = connect(store, &connection).await.map_err(UpError::Connect)?;
    people::invite(store, repository.project).await.map_err(UpError::Connect)
}

/// The signals that ask for an orderly end.
struct StopSignals {
    signals: [Signal; 3],
}

impl StopSignals {
    fn listen() -> Result<Self, UpError> {
        let listen = |kind| signal(kind).map_err(UpError::system("listen to signals"));
        Ok(Self {
            signals: [
                listen(SignalKind::interrupt())?,
                listen(SignalKind::terminate())?,
                listen(SignalKind::hangup())?,
            ],
        })
    }

    async fn received(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

fn demand_room(layout: &Layout) -> Result<(), UpError> {
    let folders = [layout.platform_data(), layout.dot_dev()];
    for folder in folders {
        fs::create_dir_all(&folder).map_err(FileError::of("create", &folder))?;
        let free_mib = disk::free_mib(&folder).map_err(FileError::of("measure", &folder))?;
        if free_mib < NEEDED_MIB {
            return Err(UpError::DiskFull { path: folder, free_mib, needed_mib: NEEDED_MIB });
        }
    }
    Ok(())
}

/// We hold the lock, so whoever wrote a state file is dead.
fn clean_up_after_predecessor(layout: &Layout, marker: &str) {
    let ended = end_marked(marker, &layout.platform_data().join("jobs"));
    let stale = fs::remove_file(layout.state_file()).is_ok();
    if stale || ended > 0 {
        say(format_args!(
            "An earlier `up` did not end in order; its state file is removed and {ended} processes of it were ended."
        ));
    }
}

fn throw_away_data(layout: &Layout) -> Result<(), UpError> {
    let data = layout.platform_data();
    match fs::remove_dir_all(&data) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(FileError::of("remove", data)(error).into()),
        _ => Ok(()),
    }
}

/// Keeps the logs of the previous time beside the new ones.
fn rotate_logs(layout: &Layout) {
    let Ok(entries) = fs::read_dir(layout.logs()) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|kind| kind == "log") && !path.ends_with("up.log") {
            let _ = fs::rename(&path, path.with_extension("log.1"));
        }
    }
}

/// Each build's program was copied to where the users of jobs can run it; none of them runs now.
fn remove_staged_programs(jobs: &Path) {
    let Ok(entries) = fs::read_dir(jobs) else { return };
    for entry in entries.flatten() {
        let staged = entry.file_name().to_str().is_some_and(|name| name.starts_with("runner-"));
        if staged && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn banner(state: &State, model: &Model, jobs_place: &JobsPlace, took: Duration) {
    let scripted = if model.scripted { "scripted" } else { "real, its key is held by the model gateway alone" };
    say(format_args!("\nThe platform is up ({}).\n", seconds(took)));
    for (what, place) in [
        ("console", state.console_url.as_str()),
        ("gateway", &state.gateway_url),
        ("GitHub stand-in", &state.forge_url),
        ("Temporal's UI", &state.temporal_ui_url),
        ("Temporal", &state.temporal_address),
        ("Postgres", &state.postgres_url),
    ] {
        say(format_args!("  {what:<16} {place}"));
    }
    say(format_args!("  {:<16} {} ({scripted})", "model", state.model_url));
    if let Some(words) = jobs_place.words() {
        say(format_args!("  {:<16} {words}", "Jobs"));
    }
    say("\nNext: `cargo dev demo` in another terminal. Ctrl-C or `cargo dev down` stops everything.");
}
