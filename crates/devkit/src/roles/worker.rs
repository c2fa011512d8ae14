//! The worker, with Jobs as processes of this machine: `JOBS_DIR` holds them, `CODEX_K8S_CODEX` is the Codex binary; the
//! rest is what [`activities::settings::WorkerSettings`] reads. With `JOBS_IN=kubernetes` they are Kubernetes Jobs, see
//! [`activities::jobs_in`].

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use activities::{jobs_in, settings::WorkerSettings, worker};
use jobs::{
    JobLauncher,
    kubernetes::{self, KubernetesLauncher},
};
use role::Environment;

use super::surroundings::{RoleError, asked_to_stop, variable};
use crate::launcher::ProcessLauncher;

pub(super) async fn run() -> Result<(), RoleError> {
    let settings = WorkerSettings::from_env().map_err(|errors| RoleError::Failed(errors.into()))?;
    let in_cluster = std::env::var("JOBS_IN").is_ok_and(|place| place == "kubernetes");
    let launcher: Arc<dyn JobLauncher> = if in_cluster {
        let settings = jobs_in::read(&Environment::of_process());
        let settings = settings.map_err(|errors| RoleError::Failed(errors.into()))?;
        let (client, _) = kubernetes::client().await.map_err(|error| RoleError::Failed(error.into()))?;
        Arc::new(KubernetesLauncher::new(client, settings))
    } else {
        let jobs_dir: PathBuf = variable("JOBS_DIR")?;
        let codex: PathBuf = variable("CODEX_K8S_CODEX")?;
        // Not the path it was started by: a new build may have replaced the file there.
        let launcher = ProcessLauncher::new(&jobs_dir, Path::new("/proc/self/exe"), &codex);
        Arc::new(launcher.map_err(|error| RoleError::Failed(error.into()))?)
    };
    let stop = async {
        if let Err(error) = asked_to_stop().await {
            tracing::error!(%error, "stopping, since nobody could ask for it");
        }
    };
    worker::serve(settings, launcher, stop).await.map_err(RoleError::Failed)
}
