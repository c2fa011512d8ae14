//! The worker: its Jobs are Kubernetes Jobs.

use std::sync::Arc;

use activities::{jobs_in, settings::WorkerSettings, worker};
use jobs::kubernetes::{self, KubernetesLauncher, KubernetesSettings};
use role::{ConfigErrors, Environment, shutdown::asked_to_stop};

/// Serves until asked to stop.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let (settings, launcher) = settings()?;
    let (client, address) = kubernetes::client().await?;
    // One that is away for a moment is no reason not to begin: what needs it is tried again.
    match kubernetes::check(&client, &address).await {
        Ok(version) => tracing::info!(address, version, "Jobs run in this cluster"),
        Err(error) => tracing::warn!(%error, "Jobs can't be started until the cluster can be used"),
    }
    let launcher = Arc::new(KubernetesLauncher::new(client, launcher));
    worker::serve(settings, launcher, asked_to_stop()).await
}

/// Looks at the settings and for the cluster; gives a sentence about it.
pub(crate) async fn check() -> anyhow::Result<String> {
    settings()?;
    let (client, address) = kubernetes::client().await?;
    let version = kubernetes::check(&client, &address).await?;
    Ok(format!("Jobs run in the cluster at {address} (Kubernetes {version})."))
}

/// Everything that is wrong with either part is told at once.
fn settings() -> Result<(WorkerSettings, KubernetesSettings), ConfigErrors> {
    match (WorkerSettings::from_env(), jobs_in::read(&Environment::of_process())) {
        (Ok(settings), Ok(launcher)) => {
            let of_launcher = jobs_in::told(&launcher);
            Ok((WorkerSettings { of_launcher, ..settings }, launcher))
        }
        (Err(mut errors), Err(more)) => {
            errors.0.extend(more.0.into_iter().filter(|error| error.variable != "CODEX_K8S_INSTANCE"));
            Err(errors)
        }
        (Err(errors), Ok(_)) | (Ok(_), Err(errors)) => Err(errors),
    }
}
