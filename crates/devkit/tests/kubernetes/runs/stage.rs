//! A platform on the test's cluster, as an installation would have it there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use devkit::harness::{Detour, Hosting, Identity, Options, Platform};
use domain::{hook_log::WebhookMode, ids::EngineNamespace, services_yaml::PlatformBudgets};
use jobs::{JobRef, kubernetes};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::ListParams};
use serde_json::Value;
use store::runs::Run;

use crate::{in_cluster::deploy::installed::Installed, world::World};

/// Has a kubeconfig lead to the API server by this way.
fn lead_by(way: &Detour, kubeconfig: &Path) -> anyhow::Result<()> {
    let mut opens: Value = serde_json::from_str(&fs::read_to_string(kubeconfig)?)?;
    for named in opens["clusters"].as_array_mut().into_iter().flatten() {
        named["cluster"]["tls-server-name"] = World::api_address().ip().to_string().into();
        named["cluster"]["server"] = format!("https://{}", way.address).into();
    }
    Ok(fs::write(kubeconfig, opens.to_string())?)
}

/// A platform whose worker has the rights of its account in the cluster, and no more.
pub(crate) struct Stage {
    pub(crate) platform: Platform,
    /// What `deploy/` installs: the account, its rights, and what holds it.
    installed: Installed,
}

impl Stage {
    pub(crate) async fn new() -> anyhow::Result<Self> {
        Self::with(Hosting::InProcess, None).await
    }

    /// The worker reaches the API server by a way that can be cut.
    pub(crate) async fn by(way: &Detour) -> anyhow::Result<Self> {
        Self::with(Hosting::InProcess, Some(way)).await
    }

    pub(crate) async fn with(hosting: Hosting, way: Option<&Detour>) -> anyhow::Result<Self> {
        let world = World::new().await;
        let installed = Installed::new(&world).await;
        let cluster = installed.for_worker(&world).await;
        if let Some(way) = way {
            lead_by(way, &cluster.kubeconfig)?;
        }
        let platform = Platform::start(Options {
            program: PathBuf::from(env!("CARGO_BIN_EXE_dev")),
            slots: 3,
            hosting,
            tamper: None,
            webhooks: WebhookMode::Push,
            namespace: EngineNamespace::default(),
            identity: Identity::Person,
            otlp_endpoint: None,
            budgets: PlatformBudgets::default(),
            cluster: Some(cluster),
            egress_proxy: None,
            binary: None,
        })
        .await?;
        Ok(Self { platform, installed })
    }

    pub(crate) async fn job_of(&self, run: &Run) -> anyhow::Result<(String, JobRef)> {
        let job = JobRef { project: self.platform.project().await?, run: run.id, attempt: run.attempt };
        Ok((kubernetes::namespace(&self.installed.own("codexk8s-run-"), &job.project), job))
    }

    /// The pods of a run's newest attempt, asked for with an administrator's rights.
    pub(crate) async fn pods_of(&self, run: &Run) -> anyhow::Result<(Api<Pod>, Vec<Pod>)> {
        let (namespace, job) = self.job_of(run).await?;
        let pods: Api<Pod> = Api::namespaced(World::new().await.client, &namespace);
        let of_job = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={}", job.name()));
        let there = pods.list(&of_job).await?.items;
        Ok((pods, there))
    }

    /// Ends the test; see [`Platform::finish`].
    pub(crate) async fn finish(self) -> anyhow::Result<()> {
        self.platform.finish().await
    }
}
