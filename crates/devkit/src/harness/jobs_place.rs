//! Where the Jobs of a test's platform run: as processes of this machine, or in a real cluster.

use std::{
    ffi::OsString,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use domain::{
    ids::{Instance, ProjectSlug},
    job::JobPresence,
};
use jobs::{
    JobLauncher,
    kubernetes::{self, KubernetesLauncher, OwnRights},
};
use role::Environment;
use tokio::net::TcpListener;
use url::Url;

use crate::launcher::ProcessLauncher;

/// Long enough for an image that is on the node, or on a registry beside it.
const IMAGE: Duration = Duration::from_secs(15);

/// A cluster in which Jobs run.
#[derive(Clone, Debug)]
pub struct InCluster {
    /// Opens it for the worker.
    pub kubeconfig: PathBuf,
    /// How the namespaces of its Jobs begin; none: in a way that no other platform has.
    pub namespace_prefix: Option<String>,
    /// Whose rights the worker has; none: an administrator's.
    pub rights: Option<OwnRights>,
    /// This machine's address as pods see it.
    pub node_address: IpAddr,
    /// The image with runner, Codex and git.
    pub runner_image: String,
    /// Addresses within which Jobs reach the gateways and the egress proxy; none: this machine's alone.
    pub block: Option<String>,
}

/// Where Jobs run, and what is held for them.
pub(super) struct JobsPlace {
    pub(super) launcher: Arc<dyn JobLauncher>,
    /// Where what Jobs reach listens.
    pub(super) host: IpAddr,
    /// What a worker that is a process is told.
    pub(super) environment: Vec<(&'static str, OsString)>,
    processes: Option<ProcessLauncher>,
    /// Taken for a network without rules by a pod that reaches it.
    _canary: Option<TcpListener>,
}

impl JobsPlace {
    pub(super) fn processes(
        jobs_dir: &Path,
        program: &Path,
        codex: &Path,
        egress_proxy: Option<Url>,
    ) -> anyhow::Result<Self> {
        let mut launcher = ProcessLauncher::new(jobs_dir, program, codex)?;
        launcher.egress_proxy = egress_proxy;
        Ok(Self {
            launcher: Arc::new(launcher.clone()),
            host: Ipv4Addr::LOCALHOST.into(),
            environment: Vec::new(),
            processes: Some(launcher),
            _canary: None,
        })
    }

    pub(super) async fn in_cluster(
        cluster: &InCluster,
        instance: &Instance,
        egress_proxy: Option<&Url>,
    ) -> anyhow::Result<Self> {
        let canary = TcpListener::bind((cluster.node_address, 0)).await?;
        let bits = if cluster.node_address.is_ipv4() { 32 } else { 128 };
        let block = cluster.block.clone().unwrap_or_else(|| format!("{}/{bits}", cluster.node_address));
        let mut told: Vec<(&'static str, String)> = vec![
            ("JOBS_IN", "kubernetes".to_owned()),
            ("RUNNER_IMAGE", cluster.runner_image.clone()),
            // Tests run beside each other, all with the same project.
            (
                "RUN_NAMESPACE_PREFIX",
                cluster.namespace_prefix.clone().unwrap_or_else(|| format!("codexk8s-run-{instance}-")),
            ),
            ("PLATFORM_BLOCK", block),
            ("NETWORK_CANARY", canary.local_addr()?.to_string()),
            ("USER_NAMESPACES", "off".to_owned()),
            ("PROJECT_PODS", "110".to_owned()),
            ("PROJECT_CPU", "200".to_owned()),
            ("JOB_CPU", "1".to_owned()),
            ("JOB_MEMORY", "512Mi".to_owned()),
            ("JOB_EPHEMERAL_STORAGE", "1Gi".to_owned()),
        ];
        if let Some(rights) = &cluster.rights {
            told.push(("WORKER_ACCOUNT", format!("{}/{}", rights.namespace, rights.account)));
            told.push(("RUN_NAMESPACE_ROLE", rights.role.clone()));
        }
        told.extend(egress_proxy.map(|proxy| ("EGRESS_PROXY_URL", proxy.to_string())));
        let mut environment: Environment = told.iter().map(|(name, value)| (*name, value.clone())).collect();
        environment.extend([("CODEX_K8S_INSTANCE", instance.as_str())]);
        let mut settings = activities::jobs_in::read(&environment)?;
        settings.patience.image = IMAGE;
        let (client, _) = kubernetes::client_of(&cluster.kubeconfig).await?;
        let mut environment: Vec<_> = told.into_iter().map(|(name, value)| (name, value.into())).collect();
        environment.push(("KUBECONFIG", cluster.kubeconfig.clone().into_os_string()));
        Ok(Self {
            launcher: Arc::new(KubernetesLauncher::new(client, settings)),
            host: cluster.node_address,
            environment,
            processes: None,
            _canary: Some(canary),
        })
    }

    /// Fails if a Job still runs; takes away what is kept for the project.
    pub(super) async fn finish(&self, project: &ProjectSlug) -> anyhow::Result<()> {
        if let Some(processes) = &self.processes {
            for job in std::fs::read_dir(&processes.jobs_dir)?.flatten().filter(|entry| entry.path().is_dir()) {
                let name = job.file_name().to_string_lossy().into_owned();
                if processes.presence_of(&name)? == JobPresence::Running {
                    bail!("the Job {name} still runs");
                }
            }
            return Ok(());
        }
        // An ended run's Job goes with the last activity of its workflow.
        let left = super::until(super::PATIENCE, async || Ok(self.launcher.list().await?.is_empty().then_some(())));
        left.await?.context("Jobs are left in the cluster")?;
        Ok(self.launcher.remove_project(project).await?)
    }
}
