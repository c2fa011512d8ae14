//! Postgres, durable and kept between benchmarks, and a Temporal in memory.

use std::{
    ffi::OsString,
    fs::{self, File},
    net::TcpListener,
    path::Path,
    time::Duration,
};

use anyhow::Context;

use crate::{
    console::Step,
    layout::Layout,
    processes::Running,
    services::{Durability, Postgres, Temporal, await_ready},
    tools::{TestMaterials, Tools},
};

const READY_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Running services.
pub(super) struct Services {
    postgres: (Postgres, Running),
    temporal: (Temporal, Running),
    /// One benchmark at a time.
    _lock: File,
}

impl Services {
    /// Starts both. What Postgres was filled with earlier is still there.
    pub(super) async fn start(layout: &Layout, tools: &Tools) -> anyhow::Result<Self> {
        let folder = layout.instance.join("bench");
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let lock = File::create(folder.join("lock"))?;
        lock.try_lock().context("another benchmark runs")?;
        let marker = folder.to_string_lossy().into_owned();
        let step = Step::start("postgres");
        let postgres =
            Postgres::prepare(&tools.postgres_bin, &folder.join("postgres"), free_port()?, Durability::Kept).await?;
        let program = postgres.program(folder.join("postgres.log"), &marker);
        let mut process = program.spawn()?;
        await_ready(&program, &mut process, &postgres.readiness(), READY_LIMIT).await?;
        step.done("ready, as durable as in production");
        let step = Step::start("temporal");
        let temporal = Temporal {
            command: tools.temporal.clone(),
            database: None,
            folder: folder.clone(),
            port: free_port()?,
            http_port: free_port()?,
            ui_port: None,
        };
        let program = temporal.program(folder.join("temporal.log"), &marker);
        let mut engine = program.spawn()?;
        await_ready(&program, &mut engine, &temporal.readiness(), READY_LIMIT).await?;
        step.done("ready, in memory");
        Ok(Self { postgres: (postgres, process), temporal: (temporal, engine), _lock: lock })
    }

    /// What the measuring program finds in its environment.
    pub(super) fn environment(&self, tools: &Tools, materials: &TestMaterials) -> Vec<(&'static str, OsString)> {
        let path = |path: &Path| path.as_os_str().to_owned();
        vec![
            ("CODEX_K8S_TEST_POSTGRES_URL", self.postgres.0.url("postgres").into()),
            ("CODEX_K8S_TEST_TEMPORAL", self.temporal.0.address().to_string().into()),
            ("CODEX_K8S_TEMPORAL", path(&tools.temporal)),
            ("CODEX_K8S_CODEX", path(&tools.codex)),
            ("CODEX_K8S_WEBHOOK_EXAMPLES", path(&materials.webhook_examples)),
        ]
    }

    pub(super) async fn stop(self) {
        self.temporal.1.stop(STOP_LIMIT).await;
        self.postgres.1.stop(STOP_LIMIT).await;
    }
}

/// A port nobody listens on now.
fn free_port() -> std::io::Result<u16> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr().map(|address| address.port())
}
