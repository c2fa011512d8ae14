//! Postgres, durable and kept between benchmarks, and a Temporal in memory.

use std::{
    ffi::OsString,
    fs::{self, File},
    path::Path,
    time::Duration,
};

use anyhow::Context;

use crate::{
    console::Step,
    layout::Layout,
    processes::Running,
    services::{Durability, Postgres, Temporal, fleeting},
    tools::{TestMaterials, Tools},
};

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
        let step = Step::start("postgres");
        let postgres = fleeting::start_postgres(&tools.postgres_bin, &folder, Durability::Kept).await?;
        step.done("ready, as durable as in production");
        let step = Step::start("temporal");
        let temporal = fleeting::start_temporal(&tools.temporal, &folder).await?;
        step.done("ready, in memory");
        Ok(Self { postgres, temporal, _lock: lock })
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
