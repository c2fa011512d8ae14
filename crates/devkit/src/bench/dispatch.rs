//! Commands of the outbox to started workflows, against bare starts on the same Temporal.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::ensure;
use chrono::{TimeDelta, Utc};
use dispatch::{Dispatcher, Engine, EnginePlace, EngineSettings, engine::Target as Workflow};
use domain::ids::Instance;
use serde_json::json;
use store::{
    Store,
    benching::{self, BenchServer},
    gauges,
};
use telemetry::{Telemetry, TelemetrySettings, catalogue::Role};
use tokio::{sync::Semaphore, task::JoinSet};
use uuid::Uuid;

use super::report::{Report, Target};

/// Starts in one turn.
const STARTS: u32 = 400;

/// Both sides take turns.
const TURNS: u32 = 3;

/// As many as the dispatcher has under way at a time.
const AT_A_TIME: usize = 8;

const CONNECTIONS: u32 = 20;

pub(super) async fn run(report: &mut Report) -> anyhow::Result<()> {
    report.note(
        "dispatch: both sides have 8 starts under way at a time; Temporal keeps its state in memory and has no worker",
    );
    let server = BenchServer::at(&super::from_environment("CODEX_K8S_TEST_POSTGRES_URL")?)?;
    let store = Store::connect(&server.with_runs(0).await?, CONNECTIONS).await?;
    let instance: Instance = format!("bench-{}", &Uuid::now_v7().simple().to_string()[20..]).parse()?;
    let address = super::from_environment("CODEX_K8S_TEST_TEMPORAL")?;
    let engine = || anyhow::Ok(Engine::new(EngineSettings::at(&EnginePlace::at(&address), instance.clone(), "bench")?));
    let telemetry = Arc::new(Telemetry::new(Role::Gateway, &TelemetrySettings::default())?);
    let dispatcher = Dispatcher::new(store.clone(), engine()?, Arc::new(Utc::now), TimeDelta::hours(12), telemetry);
    let bare = Arc::new(engine()?);
    // The first calls connect.
    deliver(&store, &dispatcher, &benching::waiting_starts(&store, &instance, 20).await?).await?;
    start_bare(&bare, 20).await?;
    let (mut ours, mut plain) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..TURNS {
        plain += start_bare(&bare, STARTS).await?;
        let waiting = benching::waiting_starts(&store, &instance, STARTS).await?;
        ours += deliver(&store, &dispatcher, &waiting).await?;
    }
    let rate = |took: Duration| f64::from(STARTS * TURNS) / took.as_secs_f64();
    report.ratio("dispatch: started workflows", rate(ours), rate(plain), "1/s", Target::AtLeast(0.8));
    store.pool().close().await;
    Ok(())
}

/// As whoever stored a command delivers it, with as many under way. Nobody looks at the outbox meanwhile: that would be measured too.
async fn deliver(store: &Store, dispatcher: &Arc<Dispatcher>, waiting: &[String]) -> anyhow::Result<Duration> {
    let room = Arc::new(Semaphore::new(AT_A_TIME));
    let began = Instant::now();
    let mut deliveries = JoinSet::new();
    for workflow_id in waiting {
        let (room, dispatcher, workflow_id) = (Arc::clone(&room), Arc::clone(dispatcher), workflow_id.clone());
        deliveries.spawn(async move {
            let _place = room.acquire().await?;
            anyhow::Ok(dispatcher.dispatch(&workflow_id).await?)
        });
    }
    while let Some(delivered) = deliveries.join_next().await {
        delivered??;
    }
    let took = began.elapsed();
    let left = gauges::work(&mut *store.acquire().await?, Utc::now()).await?.outbox_pending;
    ensure!(left == 0, "{left} starts are still in the outbox");
    Ok(took)
}

async fn start_bare(engine: &Arc<Engine>, count: u32) -> anyhow::Result<Duration> {
    let room = Arc::new(Semaphore::new(AT_A_TIME));
    let began = Instant::now();
    let mut starts = JoinSet::new();
    for _ in 0..count {
        let (room, engine) = (Arc::clone(&room), Arc::clone(engine));
        starts.spawn(async move {
            let _place = room.acquire().await?;
            let run = Uuid::now_v7();
            let id = format!("{}:agent-run:{run}:1", engine.settings().instance);
            let target = Workflow { workflow_id: &id, request_id: Uuid::new_v4() };
            engine.start(target, "AgentRun", &json!({ "run": run, "attempt": 1, "from_step": null })).await?;
            anyhow::Ok(())
        });
    }
    while let Some(started) = starts.join_next().await {
        started??;
    }
    Ok(began.elapsed())
}
