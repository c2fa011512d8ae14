//! The worker, with Jobs as processes of this machine: `JOBS_DIR` holds them, `CODEX_K8S_CODEX` is the Codex binary; the
//! rest is what [`activities::settings::WorkerSettings`] reads. `CODEX_K8S_READY_FILE` appears when it polls for work. For benchmarks,
//! [`SLEEPERS`] names a file until whose appearance Jobs do nothing.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use activities::{settings::WorkerSettings, worker};

use super::surroundings::{RoleError, asked_to_stop, variable};
use jobs::JobLauncher;

use crate::{bench::SleeperLauncher, launcher::ProcessLauncher};

/// The variable that makes sleepers of Jobs.
pub(crate) const SLEEPERS: &str = "CODEX_K8S_SLEEPERS_UNTIL";

pub(super) async fn run() -> Result<(), RoleError> {
    let settings = WorkerSettings::from_env().map_err(|errors| RoleError::Failed(errors.into()))?;
    let jobs_dir: PathBuf = variable("JOBS_DIR")?;
    let codex: PathBuf = variable("CODEX_K8S_CODEX")?;
    let ready: PathBuf = variable("CODEX_K8S_READY_FILE")?;
    // Not the path it was started by: a new build may have replaced the file there.
    let program = Path::new("/proc/self/exe");
    let launcher: Arc<dyn JobLauncher> = match std::env::var_os(SLEEPERS) {
        Some(release) => Arc::new(SleeperLauncher::new(release.into())),
        None => {
            let launcher = ProcessLauncher::new(&jobs_dir, program, &codex);
            Arc::new(launcher.map_err(|error| RoleError::Failed(error.into()))?)
        }
    };
    let polls = move || {
        if let Err(error) = std::fs::write(&ready, "ready\n") {
            tracing::warn!(%error, "nobody can be told that the worker is ready");
        }
    };
    let stop = async {
        if let Err(error) = asked_to_stop().await {
            tracing::error!(%error, "stopping, since nobody could ask for it");
        }
    };
    worker::serve(settings, launcher, polls, stop).await.map_err(RoleError::Failed)
}
