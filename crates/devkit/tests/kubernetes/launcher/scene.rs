//! A launcher with a project of its own, and Jobs that do what their token says.
//!
//! The *actor* stands where the runner is: an image whose runner is a shell script that runs the text of the Job's token. So
//! a test says what happens in the pod, and everything around it is as with the real one.

use std::{sync::Arc, time::Duration};

use domain::{
    ids::{Attempt, Instance, ProjectSlug},
    job::JobRuntime,
    job_ending::JobEnding,
};
use jobs::{
    JobLauncher as _, JobOrder, JobRef,
    kubernetes::{Defaults, KubernetesLauncher, KubernetesSettings, Network, Patience, Quota, UserNamespaces},
};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams},
};
use role::SecretText;

use crate::world::{World, at_the_end};

/// Longer than anything takes on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(100);

/// Everything that a test needs.
pub struct Scene {
    pub client: Client,
    pub launcher: KubernetesLauncher,
    pub settings: KubernetesSettings,
    pub project: ProjectSlug,
    namespace: String,
}

/// What Jobs of tests get: little, so that many fit beside each other.
fn settings(name: &str, actor: String) -> KubernetesSettings {
    let instance: Instance = format!("t-{name}-{}", &uuid::Uuid::new_v4().simple().to_string()[..6]).parse().unwrap();
    KubernetesSettings {
        instance,
        runner_image: actor,
        namespace_prefix: "codexk8s-run-t-".to_owned(),
        rights: None,
        network: Network::Block("127.0.0.1/32".to_owned()),
        egress_proxy: None,
        canary: "127.0.0.1:1".to_owned(),
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
        patience: Patience {
            image: Duration::from_secs(8),
            room: Duration::from_secs(6),
            start: Duration::from_secs(60),
            cluster: Duration::from_secs(60),
            look: Duration::from_secs(15),
            ..Patience::default()
        },
        clock: Arc::new(chrono::Utc::now),
    }
}

impl Scene {
    /// A scene as most tests need it.
    pub async fn new(name: &str) -> Self {
        Self::with(name, |_| {}).await
    }

    /// A scene whose launcher is told something else.
    pub async fn with(name: &str, change: impl FnOnce(&mut KubernetesSettings)) -> Self {
        let world = World::new().await;
        let mut settings = settings(name, world.actor_image.clone());
        change(&mut settings);
        let project = ProjectSlug::new(settings.instance.as_str());
        let launcher = KubernetesLauncher::new(world.client.clone(), settings.clone());
        let namespace = launcher.namespace(&project);
        Self { client: world.client, launcher, settings, project, namespace }
    }

    /// A Job that runs a script.
    pub fn order(&self, script: &str) -> JobOrder {
        let run = uuid::Uuid::now_v7();
        JobOrder {
            job: JobRef {
                project: self.project.clone(),
                run: domain::ids::RunId::from_uuid(run),
                attempt: Attempt::FIRST,
            },
            token: SecretText::new(script),
            gateway_url: "http://127.0.0.1:2".parse().unwrap(),
            model_url: "http://127.0.0.1:3".parse().unwrap(),
            deadline: Duration::from_secs(600),
            runtime: JobRuntime::default(),
        }
    }

    /// Starts a Job and waits for its end.
    pub async fn run(&self, order: &JobOrder) -> JobEnding {
        self.launcher.launch(order).await.unwrap();
        self.ended(order).await
    }

    pub async fn ended(&self, order: &JobOrder) -> JobEnding {
        let ended = tokio::time::timeout(LIMIT, self.launcher.ended(&order.job)).await;
        ended.unwrap_or_else(|_| panic!("{} did not end within {LIMIT:?}", order.job.name())).unwrap()
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The pods of the project.
    pub async fn pods(&self) -> Vec<Pod> {
        self.api::<Pod>().list(&ListParams::default()).await.unwrap().items
    }

    /// Waits until the agent's container runs; gives its pod's name.
    pub async fn working(&self) -> String {
        let until = tokio::time::Instant::now() + LIMIT;
        loop {
            for pod in self.pods().await {
                let statuses = pod.status.and_then(|status| status.container_statuses).unwrap_or_default();
                if statuses.iter().any(|of| of.state.as_ref().is_some_and(|state| state.running.is_some())) {
                    return pod.metadata.name.unwrap();
                }
            }
            assert!(tokio::time::Instant::now() < until, "no pod came up");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let name = self.namespace.clone();
        at_the_end("the namespace of the scene is left", async move |client| {
            // There is none where nothing was launched.
            let _ = Api::<Namespace>::all(client).delete(&name, &DeleteParams::default()).await;
            Ok::<_, kube::Error>(())
        });
    }
}
