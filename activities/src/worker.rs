//! The worker role: hosts the workflows and the activities.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use dispatch::{Dispatcher, Engine, EngineSettings};
use domain::{run_limits::START_MAX_AGE, told_settings::ToldRole};
use jobs::JobLauncher;
use store::{Store, blobs::Blobs, role_settings};
use telemetry::{
    Telemetry,
    catalogue::Role,
    database::{self, WorkGauges},
    ops::Ops,
    readiness::{Part, Readiness, Without},
};
use temporalio_client::Client;
use temporalio_sdk::{
    WorkerOptions, WorkerOptionsBuilder,
    runtime::{
        PollerBehavior,
        worker_tuner::{FixedSizeSlotSupplier, TunerHolder},
    },
};
use workflows::{AgentRun, ConnectRepository, DeleteProject, Reconcile, ScheduledStart, options::LOOK_LIMIT};

use crate::{
    activity_watch::ActivityWatch,
    agent_waits::{self, AgentWaits},
    config_refresh,
    connect_steps::ConnectActivities,
    delete_steps::DeleteActivities,
    forge_access::ForgeAccess,
    generations::Generations,
    lost_connections, lost_deletions, lost_runs,
    mirrors::Mirrors,
    owed_ends,
    platform::Platform,
    reconcile::{ReconcileActivities, schedules},
    run_steps::RunActivities,
    scheduled_start::ScheduleActivities,
    settings::WorkerSettings,
    turns::Turns,
    workspaces::Workspaces,
};

/// Connections to Postgres. Activities hold one only for a statement or a short transaction; a few for a turn ([`Turns`]).
const DATABASE_CONNECTIONS: u32 = 16;

/// Activities under way at a time. Every Job at work has one that watches it, so this has to be well above the Jobs that one
/// worker may have: were all of them watchers, no run could take another step.
const ACTIVITIES: usize = 500;

/// Workflow tasks at a time, and polls for such tasks: each poll holds a place, so that of new runs nine begin beside each other. A run's first
/// task takes several steps ([`workflows::options::at_once`]). A hundred at a time all came near the time after which the engine takes a task
/// for lost, and of thirty the Jobs were made later: with few, the first agents start while the last runs wait.
const WORKFLOW_TASKS: usize = TASK_POLLS + 5;

/// Steps within workflow tasks, and the kinds of work that there are none of: the SDK's own number.
const OTHER_TASKS: usize = 100;

/// Workflow tasks waited for at a time, a fifth of them of workflows that no worker has: one for which nobody waits is kept by the engine
/// meanwhile, which is more work for it than the task itself.
const TASK_POLLS: usize = 20;

/// A worker from which another of this process has taken over may end what it began. No try of anything takes longer, but for the
/// watching of Jobs, which moves at once.
const TAKE_OVER_GRACE: Duration = LOOK_LIMIT;

/// A crashed worker's workflows are picked up by another after this.
const STICKY: Duration = Duration::from_secs(10);

/// How often heartbeats are passed on at most: the SDK holds back what comes sooner, of its own accord nearly until the limit. A cancel is
/// noticed with the next one that is.
const HEARTBEAT_THROTTLE: Duration = Duration::from_secs(2);

/// How often a Temporal that is not there yet is tried.
const ENGINE_RETRY: Duration = Duration::from_secs(1);

/// Runs the worker until `stop` ends.
///
/// # Errors
/// When the database's address is none, a folder can't be made, or the worker breaks. A Temporal or Postgres that is down
/// is waited for.
pub async fn serve(
    settings: WorkerSettings,
    launcher: Arc<dyn JobLauncher>,
    stop: impl Future<Output = ()> + Send,
) -> anyhow::Result<()> {
    let mut stop = std::pin::pin!(stop);
    let metrics_bind = settings.telemetry.metrics_bind;
    let platform = Arc::new(build(settings, launcher)?);
    let _ops = ops(&platform).serve_if_wanted(metrics_bind).await?;
    tracing::info!(role = "worker", "waiting for Temporal");
    let client = tokio::select! {
        client = connect(&platform) => client,
        () = &mut stop => return Ok(()),
    };
    let tracer = platform.telemetry.tracer.clone();
    let hosts = Arc::clone(&platform);
    let running = start(client, platform, move || options(&hosts))?;
    tracing::info!(role = "worker", "ready");
    stop.await;
    let stopped = running.stop().await;
    tracer.finish().await;
    stopped
}

/// What the worker can be asked for by those who run the platform.
#[must_use]
pub fn ops(platform: &Platform) -> Ops {
    let telemetry = Arc::clone(&platform.telemetry);
    let gauges = WorkGauges::new(Arc::clone(&telemetry), platform.store.clone(), Arc::clone(&platform.clock));
    let rests_on = vec![
        database::part(&platform.store),
        platform.dispatcher.engine_part(Without::Unready),
        polling(Arc::clone(&platform.polls)),
    ];
    let readiness = Readiness::new(rests_on, Arc::clone(&platform.clock));
    Ops { telemetry, readiness, before_scrape: Some(Arc::new(gauges)) }
}

fn polling(polls: Arc<AtomicBool>) -> Part {
    Part::new("polling", Without::Unready, move || {
        let polls = polls.load(Ordering::Relaxed);
        async move {
            let silent = "The worker does not poll for work: it is starting, or stopping, or its thread has ended.";
            if polls { Ok(()) } else { Err(silent.to_owned()) }
        }
    })
}

/// Puts together what the activities need.
///
/// # Errors
/// When the database's address is none or a folder can't be made.
pub fn build(settings: WorkerSettings, launcher: Arc<dyn JobLauncher>) -> anyhow::Result<Platform> {
    std::fs::create_dir_all(&settings.mirror_dir).context("the folder of mirrors can't be made")?;
    std::fs::create_dir_all(&settings.places.scratch).context("the folder for files on their way can't be made")?;
    let (clock, told) = (forge::system_clock(), settings.told());
    let telemetry = Arc::new(Telemetry::new(Role::Worker, &settings.telemetry)?);
    let store = Store::connect_lazy(settings.database_url.expose(), DATABASE_CONNECTIONS)?;
    let store = database::watched(store, &telemetry);
    let engine = Engine::new(EngineSettings::at(&settings.engine, settings.instance, "worker")?);
    let dispatcher = Dispatcher::new(store.clone(), engine, Arc::clone(&clock), START_MAX_AGE, Arc::clone(&telemetry));
    let (keys, watch) = (settings.opening_keys, Arc::clone(&telemetry));
    let forge = ForgeAccess::new(store.clone(), keys, settings.forge_url, Arc::clone(&clock), watch);
    let forge = if settings.paced { forge } else { forge.unpaced() };
    let blobs = Blobs::local(&settings.blob_dir)?;
    Ok(Platform {
        workspaces: Workspaces::new(blobs.clone(), settings.places.scratch.clone()),
        blobs,
        turns: Turns::new(store.clone()),
        store,
        dispatcher,
        launcher,
        forge,
        run_token_key: settings.run_token_key,
        mirrors: Mirrors::new(settings.mirror_dir),
        places: settings.places,
        webhooks: settings.webhooks,
        retention: settings.retention,
        budgets: settings.budgets,
        told,
        clock,
        polls: Arc::default(),
        agent_waits: AgentWaits::default(),
        telemetry,
    })
}

async fn connect(platform: &Platform) -> Client {
    loop {
        match platform.dispatcher.engine().client().await {
            Ok(client) => return client,
            Err(error) => tracing::warn!(error = %error, "Temporal is not there yet"),
        }
        tokio::time::sleep(ENGINE_RETRY).await;
    }
}

/// A worker at work.
pub struct Running {
    generations: Generations,
    polls: Arc<AtomicBool>,
    reconciling: tokio::task::JoinHandle<()>,
}

/// What the worker hosts, and how.
///
/// # Errors
/// When a workflow can't be registered.
pub fn options(platform: &Arc<Platform>) -> anyhow::Result<WorkerOptions> {
    Ok(WorkerOptions::new(platform.dispatcher.instance().task_queue())
        .register_activities(RunActivities { platform: Arc::clone(platform) })
        .register_activities(ReconcileActivities { platform: Arc::clone(platform) })
        .register_activities(ScheduleActivities { platform: Arc::clone(platform) })
        .register_activities(ConnectActivities { platform: Arc::clone(platform) })
        .register_activities(DeleteActivities { platform: Arc::clone(platform) })
        .activity_inbound_interceptor(ActivityWatch::new(platform))
        .register_workflow::<AgentRun>()
        .and_then(WorkerOptionsBuilder::register_workflow::<Reconcile>)
        .and_then(WorkerOptionsBuilder::register_workflow::<ScheduledStart>)
        .and_then(WorkerOptionsBuilder::register_workflow::<ConnectRepository>)
        .and_then(WorkerOptionsBuilder::register_workflow::<DeleteProject>)
        .context("the workflows can't be registered")?
        .graceful_shutdown_period(TAKE_OVER_GRACE)
        .sticky_queue_schedule_to_start_timeout(STICKY)
        .max_heartbeat_throttle_interval(HEARTBEAT_THROTTLE)
        .workflow_task_poller_behavior(PollerBehavior::SimpleMaximum(TASK_POLLS))
        .tuner(tuner())
        .build())
}

/// Starts polling, with options that are made anew whenever another of the SDK's workers takes over.
///
/// # Errors
/// When the worker can't be set up.
pub fn start(
    client: Client,
    platform: Arc<Platform>,
    options: impl Fn() -> anyhow::Result<WorkerOptions> + Send + Sync + 'static,
) -> anyhow::Result<Running> {
    let polls = Arc::clone(&platform.polls);
    let generations = Generations::begin(client, Arc::clone(&platform), Box::new(options))?;
    let reconciling = tokio::spawn(async move {
        tokio::join!(
            role_settings::put_in_time(&platform.store, ToldRole::Worker, &platform.told, platform.now()),
            config_refresh::keep(&platform),
            lost_runs::keep(&platform),
            owed_ends::keep(&platform),
            agent_waits::keep(&platform),
            lost_connections::keep(&platform),
            lost_deletions::keep(&platform),
            schedules::put_in_place(&platform)
        );
    });
    Ok(Running { generations, polls, reconciling })
}

fn tuner() -> TunerHolder {
    let other = FixedSizeSlotSupplier::new(OTHER_TASKS);
    TunerHolder::builder()
        .activity_task_slot_supplier(FixedSizeSlotSupplier::new(ACTIVITIES))
        .workflow_task_slot_supplier(FixedSizeSlotSupplier::new(WORKFLOW_TASKS))
        .local_activity_task_slot_supplier(other)
        .nexus_task_slot_supplier(other)
        .build()
}

impl Running {
    /// Has another of the SDK's workers take over, as happens by itself after many activities.
    ///
    /// # Errors
    /// When none can be set up: the one that is there goes on.
    pub async fn renew(&self) -> anyhow::Result<()> {
        self.generations.renew().await
    }

    /// Stops polling, gives activities their grace, waits for the end.
    ///
    /// # Errors
    /// What the worker broke with.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.polls.store(false, Ordering::Relaxed);
        self.reconciling.abort();
        self.generations.stop().await
    }
}
