//! Throw-away Postgres and Temporal for tests.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::TestingError;
use crate::{
    console::Step,
    file_error::FileError,
    layout::Layout,
    processes::{Running, is_alive},
    services::{Durability, Postgres, Temporal, fleeting},
    tools::{TestMaterials, Tools},
};

const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A running Postgres, in a folder that is deleted when it is stopped.
#[derive(Debug)]
pub struct TestPostgres {
    folder: PathBuf,
    postgres: Postgres,
    process: Running,
}

impl TestPostgres {
    /// Starts a fresh server.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(layout: &Layout, tools: &Tools) -> Result<Self, TestingError> {
        let step = Step::start("postgres");
        let all = layout.test_data();
        remove_abandoned(&all);
        let folder = all.join(std::process::id().to_string());
        fs::create_dir_all(&folder).map_err(FileError::of("create", &folder))?;
        let (postgres, process) = fleeting::start_postgres(&tools.postgres_bin, &folder, Durability::ThrowAway).await?;
        step.done("ready, empty, for tests");
        Ok(Self { folder, postgres, process })
    }

    /// Makes an empty database and returns its URL.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn make_database(&self, name: &str) -> Result<String, TestingError> {
        self.postgres.ensure_database(name).await?;
        Ok(self.postgres.url(name))
    }

    /// Stops the server and deletes its data.
    pub async fn stop(self) {
        self.process.stop(STOP_LIMIT).await;
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Running services for the tests.
#[derive(Debug)]
pub struct TestServices {
    database: TestPostgres,
    temporal: Temporal,
    engine: Running,
}

impl TestServices {
    /// Starts fresh services. The tests of the store make the template of the databases when they first need it.
    ///
    /// # Errors
    /// When one of them does not come up.
    pub async fn start(layout: &Layout, tools: &Tools) -> Result<Self, TestingError> {
        let database = TestPostgres::start(layout, tools).await?;
        let step = Step::start("temporal");
        let (temporal, engine) = fleeting::start_temporal(&tools.temporal, &database.folder).await?;
        step.done("ready, in memory, for tests");
        Ok(Self { database, temporal, engine })
    }

    /// What tests find in their environment.
    pub fn environment(&self, tools: &Tools, materials: &TestMaterials) -> Vec<(String, String)> {
        let shown = |path: &Path| path.to_string_lossy().into_owned();
        [
            ("CODEX_K8S_TEST_POSTGRES_URL", self.database.postgres.url("postgres")),
            ("CODEX_K8S_TEST_TEMPORAL", self.temporal.address().to_string()),
            ("CODEX_K8S_TEMPORAL", shown(&tools.temporal)),
            ("CODEX_K8S_POSTGRES_BIN", shown(&tools.postgres_bin)),
            ("CODEX_K8S_CODEX", shown(&tools.codex)),
            ("CODEX_K8S_OPENAPI", shown(&materials.openapi)),
            ("CODEX_K8S_WEBHOOK_EXAMPLES", shown(&materials.webhook_examples)),
        ]
        .into_iter()
        .chain(self.temporal.ui_address().map(|ui| ("CODEX_K8S_TEST_TEMPORAL_UI", format!("http://{ui}"))))
        .chain(materials.squid.as_deref().map(|root| ("CODEX_K8S_SQUID_ROOT", shown(root))))
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }

    /// Stops the services and deletes their data.
    pub async fn stop(self) {
        self.engine.stop(STOP_LIMIT).await;
        self.database.stop().await;
    }
}

/// Deletes the folders of earlier runs that were killed.
fn remove_abandoned(all: &Path) {
    let Ok(entries) = fs::read_dir(all) else { return };
    for entry in entries.flatten() {
        let owner = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
        if let Some(pid) = owner
            && !is_alive(pid)
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
