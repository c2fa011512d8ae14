//! Namespaces and Jobs as the launcher itself makes them, in an installation of `deploy/`.

use std::{sync::Arc, time::Duration};

use domain::{
    ids::{Attempt, Instance, ProjectSlug, RunId},
    job::JobRuntime,
};
use jobs::{
    JobLauncher as _, JobOrder, JobRef,
    kubernetes::{Defaults, KubernetesLauncher, KubernetesSettings, Network, Patience, Quota, UserNamespaces},
};
use role::SecretText;

use super::installed::Installed;
use crate::world::World;

/// A launcher, and what its Jobs are told of. Their runner is the actor, which does what a Job's token says.
pub(super) struct Launched {
    launcher: KubernetesLauncher,
    gateway: String,
    models: String,
}

impl Launched {
    /// A launcher that finds gateway and model gateway at these addresses, on the ports that `deploy/` gives them.
    pub(super) fn new(world: &World, installed: &Installed, gateway: &str, models: &str) -> Self {
        let (system, egress) = (installed.own("codexk8s-system"), installed.own("codexk8s-egress"));
        let instance: Instance = installed.id.parse().unwrap();
        let settings = KubernetesSettings {
            instance,
            runner_image: world.actor_image.clone(),
            namespace_prefix: installed.own("codexk8s-run-"),
            rights: Some(installed.rights()),
            network: Network::Pods { system, egress },
            egress_proxy: Some("http://egress-proxy.codexk8s-egress.svc:3128".parse().unwrap()),
            canary: "kubernetes.default.svc:443".to_owned(),
            user_namespaces: UserNamespaces::Off,
            defaults: Defaults {
                cpu: "200m".parse().unwrap(),
                memory: "64Mi".parse().unwrap(),
                ephemeral_storage: "64Mi".parse().unwrap(),
            },
            quota: Quota {
                pods: 10,
                cpu: "20".parse().unwrap(),
                memory: "20Gi".parse().unwrap(),
                ephemeral_storage: "200Gi".parse().unwrap(),
            },
            patience: Patience::default(),
            clock: Arc::new(chrono::Utc::now),
        };
        let launcher = KubernetesLauncher::new(world.client.clone(), settings);
        Self { launcher, gateway: gateway.to_owned(), models: models.to_owned() }
    }

    /// Starts a Job that runs a script.
    pub(super) async fn launch(&self, installed: &mut Installed, project: &str, script: &str) -> Job {
        let job = JobRef {
            project: ProjectSlug::new(project),
            run: RunId::from_uuid(uuid::Uuid::now_v7()),
            attempt: Attempt::FIRST,
        };
        let namespace = self.launcher.namespace(&job.project);
        installed.goes_with_it(format!("/api/v1/namespaces/{namespace}"));
        let order = JobOrder {
            job: job.clone(),
            token: SecretText::new(script),
            gateway_url: format!("http://{}:8082", self.gateway).parse().unwrap(),
            model_url: format!("http://{}:8081", self.models).parse().unwrap(),
            deadline: Duration::from_secs(600),
            runtime: JobRuntime::default(),
        };
        self.launcher.launch(&order).await.unwrap();
        Job { selector: format!("codex-k8s.dev/run={}", job.run), namespace, job }
    }

    /// The reasons of what is said about a Job, with the words.
    pub(super) async fn told(&self, job: &Job) -> Vec<(String, String)> {
        let events = self.launcher.events(&job.job).await.unwrap();
        events.into_iter().map(|event| (event.reason, event.message)).collect()
    }
}

/// A Job that was started.
pub(super) struct Job {
    /// Selects its pod.
    pub(super) selector: String,
    /// Where it is.
    pub(super) namespace: String,
    job: JobRef,
}
