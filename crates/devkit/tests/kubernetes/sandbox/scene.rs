//! A whole platform whose roles are processes of their own and whose Jobs are in the cluster.

use std::{net::SocketAddr, process::Stdio, time::Duration};

use anyhow::Context;
use devkit::harness::{Hosting, Platform, canary, until};
use domain::run::Step;
use jobs::JobRef;
use k8s_openapi::api::core::v1::Pod;
use store::{model_calls, runs::Run};
use tokio::process::{Child, Command};

use crate::in_cluster::runs::stage::Stage;

/// Longer than a program takes to listen.
const LISTENS: Duration = Duration::from_secs(30);

/// Starts it.
pub(super) async fn start() -> anyhow::Result<Stage> {
    Stage::with(Hosting::Processes, None).await
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
    pub(super) async fn begin(stage: &Stage) -> anyhow::Result<Self> {
        let platform = &stage.platform;
        let number = platform.open_issue("held")?;
        platform.label(number, "run:dev")?;
        let run = platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
        platform
            .await_that("the agent has asked the model", async || {
                let asked = model_calls::any(&mut *platform.store().acquire().await?, run.id, run.attempt).await?;
                Ok(asked.then_some(()))
            })
            .await?;
        let (namespace, job) = stage.job_of(&run).await?;
        let pod = stage.pods_of(&run).await?.1.into_iter().next().context("the run has a pod")?;
        Ok(Self { number, run, job, namespace, pod })
    }

    /// The processes of its pod.
    pub(super) fn processes(&self) -> anyhow::Result<Vec<u32>> {
        Ok(canary::of_pod(self.pod.metadata.uid.as_deref().context("a pod has a UID")?)?)
    }

    /// Has something listen in its pod, as its agent could, until what is given back is dropped. No other pod is let into the namespace.
    pub(super) async fn listen(&self) -> anyhow::Result<(SocketAddr, Child)> {
        let ip =
            self.pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()).context("a pod has an address")?;
        let address = SocketAddr::new(ip.parse()?, 8080);
        let pid = *self.processes()?.first().context("its pod has processes")?;
        let server = Command::new("nsenter")
            .arg(format!("--net=/proc/{pid}/ns/net"))
            .args(["python3", "-m", "http.server", "--directory=/etc", "--bind", ip, "8080"])
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        // Port 8080, in the state of one that listens.
        let listens = async || {
            let sockets = tokio::fs::read_to_string(format!("/proc/{pid}/net/tcp")).await?;
            Ok(sockets.lines().any(|line| line.contains(":1F90 00000000:0000 0A")).then_some(()))
        };
        until(LISTENS, listens).await?.context("nothing listens in the pod")?;
        Ok((address, server))
    }

    /// Lets the agent go on.
    pub(super) fn let_go(&self, platform: &Platform) {
        platform.model.let_go(&format!("#{}", self.number));
        platform.model.let_go("held");
    }
}
