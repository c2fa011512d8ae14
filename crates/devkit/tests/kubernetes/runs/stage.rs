//! A platform on the test's cluster, as an installation would have it there.

use std::path::PathBuf;

use devkit::harness::{Detour, Hosting, Identity, InCluster, Options, Platform};
use domain::{hook_log::WebhookMode, ids::EngineNamespace, services_yaml::PlatformBudgets};
use jobs::{
    JobRef,
    kubernetes::{self, OwnRights},
};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::ListParams};
use store::runs::Run;

use crate::{in_cluster::deploy::installed::Installed, world::World};

/// A platform whose worker has the rights of its account in the cluster, and no more.
pub(super) struct Stage {
    pub(super) platform: Platform,
    /// What `deploy/` installs: the account, its rights, and what holds it.
    installed: Installed,
    _kubeconfig: tempfile::TempDir,
}

impl Stage {
    pub(super) async fn new() -> anyhow::Result<Self> {
        Self::with(Hosting::InProcess, None).await
    }

    /// The worker reaches the API server by a way that can be cut.
    pub(super) async fn by(way: &Detour) -> anyhow::Result<Self> {
        Self::with(Hosting::InProcess, Some(way)).await
    }

    pub(super) async fn with(hosting: Hosting, way: Option<&Detour>) -> anyhow::Result<Self> {
        let world = World::new().await;
        let installed = Installed::new(&world).await;
        let mut opens = installed.kubeconfig("worker").await;
        if let Some(way) = way {
            for named in opens["clusters"].as_array_mut().into_iter().flatten() {
                named["cluster"]["tls-server-name"] = World::api_address().ip().to_string().into();
                named["cluster"]["server"] = format!("https://{}", way.address).into();
            }
        }
        let folder = tempfile::tempdir()?;
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, opens.to_string())?;
        let cluster = InCluster {
            kubeconfig,
            namespace_prefix: Some(installed.own("codexk8s-run-")),
            rights: Some(OwnRights {
                namespace: installed.own("codexk8s-system"),
                account: "worker".to_owned(),
                role: installed.own("codex-k8s-run-namespace"),
            }),
            block: None,
            node_address: world.node_address,
            runner_image: world.runner_image.clone(),
        };
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
        Ok(Self { platform, installed, _kubeconfig: folder })
    }

    pub(super) async fn job_of(&self, run: &Run) -> anyhow::Result<(String, JobRef)> {
        let job = JobRef { project: self.platform.project().await?, run: run.id, attempt: run.attempt };
        Ok((kubernetes::namespace(&self.installed.own("codexk8s-run-"), &job.project), job))
    }

    /// The pods of a run's newest attempt, asked for with an administrator's rights.
    pub(super) async fn pods_of(&self, run: &Run) -> anyhow::Result<(Api<Pod>, Vec<Pod>)> {
        let (namespace, job) = self.job_of(run).await?;
        let pods: Api<Pod> = Api::namespaced(World::new().await.client, &namespace);
        let of_job = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={}", job.name()));
        let there = pods.list(&of_job).await?.items;
        Ok((pods, there))
    }

    /// Ends the test; see [`Platform::finish`].
    pub(super) async fn finish(self) -> anyhow::Result<()> {
        self.platform.finish().await
    }
}
