//! A whole platform whose roles are processes of their own and whose Jobs are in the cluster.

use std::path::PathBuf;

use anyhow::Context;
use devkit::harness::{Hosting, Identity, InCluster, Options, Platform, canary};
use domain::{hook_log::WebhookMode, ids::EngineNamespace, run::Step};
use jobs::{JobRef, kubernetes};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::ListParams};
use store::{model_calls, runs::Run};

use crate::world::World;

/// Starts it.
pub(super) async fn start(world: &World) -> anyhow::Result<Platform> {
    let cluster = InCluster {
        kubeconfig: std::env::var_os("CODEX_K8S_TEST_KUBECONFIG").map(PathBuf::from).unwrap_or_default(),
        namespace_prefix: None,
        rights: None,
        node_address: world.node_address,
        runner_image: world.runner_image.clone(),
        block: None,
    };
    Platform::start(Options {
        program: PathBuf::from(env!("CARGO_BIN_EXE_dev")),
        slots: 2,
        hosting: Hosting::Processes,
        tamper: None,
        webhooks: WebhookMode::Push,
        namespace: EngineNamespace::default(),
        identity: Identity::Person,
        otlp_endpoint: None,
        budgets: domain::services_yaml::PlatformBudgets::default(),
        cluster: Some(cluster),
        egress_proxy: None,
        binary: None,
    })
    .await
}

/// A run at work: its agent has asked the model, and waits for the answer.
pub(super) struct AtWork {
    pub(super) number: u64,
    pub(super) run: Run,
    pub(super) job: JobRef,
    pub(super) namespace: String,
    pub(super) pod: Pod,
}

impl AtWork {
    /// Has an agent begin that is held at its first question.
    pub(super) async fn begin(platform: &Platform, world: &World) -> anyhow::Result<Self> {
        let number = platform.open_issue("held")?;
        platform.label(number, "run:dev")?;
        let run = platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
        platform
            .await_that("the agent has asked the model", async || {
                let asked = model_calls::any(&mut *platform.store().acquire().await?, run.id, run.attempt).await?;
                Ok(asked.then_some(()))
            })
            .await?;
        let job = JobRef { project: platform.project().await?, run: run.id, attempt: run.attempt };
        let namespace = kubernetes::namespace(&format!("codexk8s-run-{}-", platform.instance), &job.project);
        let pods: Api<Pod> = Api::namespaced(world.client.clone(), &namespace);
        let of_run = ListParams::default().labels(&format!("{}={}", kubernetes::RUN, run.id));
        let pod = pods.list(&of_run).await?.items.into_iter().next().context("the run has a pod")?;
        Ok(Self { number, run, job, namespace, pod })
    }

    /// The processes of its pod.
    pub(super) fn processes(&self) -> anyhow::Result<Vec<u32>> {
        Ok(canary::of_pod(self.pod.metadata.uid.as_deref().context("a pod has a UID")?)?)
    }

    /// Lets the agent go on.
    pub(super) fn let_go(&self, platform: &Platform) {
        platform.model.let_go(&format!("#{}", self.number));
        platform.model.let_go("held");
    }
}
