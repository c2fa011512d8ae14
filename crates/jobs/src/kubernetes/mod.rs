//! Jobs as Kubernetes Jobs.
//!
//! Everything is found again by its name or its labels, and every write may be repeated: a worker that dies in the middle of
//! anything leaves nothing that another can't take up.

mod ending;
mod events;
mod failure;
mod kept;
mod names;
mod namespace;
mod objects;
mod output;
mod pod;
mod policies;
mod probe;
mod settings;
mod stop;
mod waiting;
mod watch;

use std::{path::Path, time::Duration};

use async_trait::async_trait;
use domain::{ids::ProjectSlug, job::JobPresence, job_ending::JobEnding};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Namespace, Secret},
    node::v1::RuntimeClass,
};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, ListParams},
    config::{KubeConfigOptions, Kubeconfig},
};

pub use self::{
    ending::{Judged, Seen, judge},
    names::{AGENT, ATTEMPT, COMPONENT, FIELD_MANAGER, INSTANCE, MANAGED_BY, PROJECT, RUN, job_of, namespace},
    objects::{job as job_object, secret as secret_object},
    pod::{AGENT_CONTAINER, NETWORK_STEP, TOOLS_STEP},
    settings::{
        CANARY, Clock, Defaults, KubernetesSettings, NAMESPACE_PREFIX, Network, OwnRights, Patience, Quota,
        UserNamespaces,
    },
};
use self::{
    failure::{call, find, persist},
    namespace::{Namespaces, apply},
    waiting::Turns,
    watch::Watches,
};
use crate::{FoundJob, JobEvent, JobLauncher, JobOrder, JobRef, LaunchError};

/// Longest that taking away what is left of an ended Job is tried while the API server is away or busy: nobody waits for it, and what is
/// not taken away now stays until a reconciler finds it.
const REMOVING: Duration = Duration::from_secs(3 * 60);

/// Most Jobs read in one page of a list.
const PAGE: u32 = 500;

/// Runs Jobs in a Kubernetes cluster.
pub struct KubernetesLauncher {
    client: Client,
    settings: KubernetesSettings,
    namespaces: Namespaces,
    watches: Watches,
    turns: Turns,
    own_users: tokio::sync::OnceCell<bool>,
}

/// Why no cluster can be used.
#[derive(Debug, thiserror::Error)]
pub enum NoCluster {
    /// Nothing says where one is.
    #[error(
        "no Kubernetes cluster is configured: run this in one, or name a file with KUBECONFIG that says where it is ({0})"
    )]
    NotConfigured(String),
    /// It does not answer, or does not let us in.
    #[error("the Kubernetes cluster at {address} can't be used: {problem}")]
    NotUsable {
        /// Where it should be.
        address: String,
        /// What is wrong.
        problem: String,
    },
}

/// The cluster that this process is in, or that `KUBECONFIG` names.
///
/// # Errors
/// When neither tells of one.
pub async fn client() -> Result<(Client, String), NoCluster> {
    open(Config::infer().await.map_err(|error| NoCluster::NotConfigured(error.to_string()))?)
}

/// The cluster that a kubeconfig file names.
///
/// # Errors
/// When the file tells of none.
pub async fn client_of(kubeconfig: &Path) -> Result<(Client, String), NoCluster> {
    let told = |error: &dyn std::fmt::Display| NoCluster::NotConfigured(error.to_string());
    let read = Kubeconfig::read_from(kubeconfig).map_err(|error| told(&error))?;
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
    open(config.map_err(|error| told(&error))?)
}

fn open(config: Config) -> Result<(Client, String), NoCluster> {
    let address = config.cluster_url.to_string();
    let client = Client::try_from(config)
        .map_err(|error| NoCluster::NotUsable { address: address.clone(), problem: error.to_string() })?;
    Ok((client, address))
}

/// Looks whether the cluster answers and lets us in.
///
/// # Errors
/// When it does not.
pub async fn check(client: &Client, address: &str) -> Result<String, NoCluster> {
    let unusable =
        |error: LaunchError| NoCluster::NotUsable { address: address.to_owned(), problem: error.to_string() };
    let version = call("asking for its version", client.apiserver_version()).await.map_err(unusable)?;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    call("listing namespaces", namespaces.list(&ListParams::default().limit(1))).await.map_err(unusable)?;
    Ok(version.git_version)
}

impl KubernetesLauncher {
    /// A launcher for this cluster.
    #[must_use]
    pub fn new(client: Client, settings: KubernetesSettings) -> Self {
        Self {
            client,
            settings,
            namespaces: Namespaces::default(),
            watches: Watches::default(),
            turns: Turns::default(),
            own_users: tokio::sync::OnceCell::new(),
        }
    }

    /// The namespace of a project's Jobs.
    #[must_use]
    pub fn namespace(&self, project: &ProjectSlug) -> String {
        names::namespace(&self.settings.namespace_prefix, project)
    }

    fn jobs(&self, of: &JobRef) -> Api<Job> {
        Api::namespaced(self.client.clone(), &self.namespace(&of.project))
    }

    fn secrets(&self, of: &JobRef) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace(&of.project))
    }

    /// Job first, then the Secret that its pod waits for and that belongs to it: whatever breaks off in between leaves
    /// nothing that lives on by itself.
    async fn start(&self, order: &JobOrder) -> Result<(), LaunchError> {
        let namespace = self.namespaces.ensure(&self.client, &self.settings, order).await?;
        let done = self.put(order).await;
        if matches!(done, Err(LaunchError::Unavailable(_))) {
            self.namespaces.distrust(&namespace);
        }
        done
    }

    async fn put(&self, order: &JobOrder) -> Result<(), LaunchError> {
        let (jobs, name) = (self.jobs(&order.job), order.job.name());
        let job = match find("looking for the Job", jobs.get(&name)).await? {
            Some(there) => there,
            None => {
                let own_users = self.own_users(order).await;
                let job = objects::job(order, &self.settings, own_users);
                apply(&jobs, "starting the Job", &job).await?
            }
        };
        if ending::is_over(&job) {
            return Ok(());
        }
        let secret = objects::secret(order, &self.settings, &job);
        apply(&self.secrets(&order.job), "giving the Job its token", &secret).await?;
        Ok(())
    }

    /// A class that is missing would leave the Job without a pod, with nothing but an event to say why.
    async fn check_runtime_class(&self, order: &JobOrder) -> Result<(), LaunchError> {
        let Some(class) = &order.runtime.runtime_class else { return Ok(()) };
        let classes: Api<RuntimeClass> = Api::all(self.client.clone());
        match find("looking for the RuntimeClass", classes.get(class)).await? {
            Some(_) => Ok(()),
            None => Err(LaunchError::Refused(format!(
                "the cluster has no RuntimeClass `{class}`; correct `runtime_class` in services.yaml, or have it installed"
            ))),
        }
    }

    async fn own_users(&self, order: &JobOrder) -> bool {
        match self.settings.user_namespaces {
            UserNamespaces::On => true,
            UserNamespaces::Off => false,
            UserNamespaces::Auto => match probe::user_namespaces(self, order).await {
                Ok(own) => own,
                Err(error) => {
                    tracing::warn!(%error, "whether pods can have user namespaces is not known; this one gets none");
                    false
                }
            },
        }
    }
}

#[async_trait]
impl JobLauncher for KubernetesLauncher {
    async fn launch(&self, order: &JobOrder) -> Result<(), LaunchError> {
        persist(self.settings.patience.launch, || async {
            self.check_runtime_class(order).await?;
            self.start(order).await
        })
        .await
    }

    /// A Job of which nothing runs may lack its Secret, which its pod waits for; whether it is there we may not look. So it
    /// counts as absent, and launching it once more brings what is missing.
    async fn presence(&self, job: &JobRef) -> Result<JobPresence, LaunchError> {
        let name = job.name();
        let there = find("looking for the Job", self.jobs(job).get(&name)).await?;
        let Some(there) = there else { return Ok(JobPresence::Absent) };
        if ending::is_over(&there) {
            return Ok(JobPresence::Ended);
        }
        let pods = waiting::pods(self, job).await?;
        Ok(if pods.iter().any(ending::is_pod_over) {
            JobPresence::Ended
        } else if pods.iter().any(ending::has_begun) {
            JobPresence::Running
        } else {
            JobPresence::Absent
        })
    }

    async fn ended(&self, job: &JobRef) -> Result<JobEnding, LaunchError> {
        waiting::ended(self, job).await
    }

    fn is_well(&self, job: &JobRef) -> bool {
        waiting::is_well(self, job)
    }

    async fn last_output(&self, job: &JobRef) -> Result<Option<String>, LaunchError> {
        output::last(self, job).await
    }

    async fn stop(&self, job: &JobRef, grace: Duration) -> Result<(), LaunchError> {
        stop::stop(self, job, grace).await
    }

    async fn lost_node(&self, job: &JobRef) -> Result<Option<String>, LaunchError> {
        Ok(waiting::pods(self, job).await?.iter().find_map(ending::lost_node))
    }

    async fn events(&self, job: &JobRef) -> Result<Vec<JobEvent>, LaunchError> {
        events::of_job(self, job).await
    }

    async fn remove(&self, job: &JobRef) -> Result<(), LaunchError> {
        let (jobs, name) = (self.jobs(job), job.name());
        let params = DeleteParams::background();
        persist(REMOVING, || find("removing the Job", jobs.delete(&name, &params))).await?;
        Ok(())
    }

    async fn projects(&self) -> Result<Vec<ProjectSlug>, LaunchError> {
        namespace::projects(&self.client, &self.settings).await
    }

    async fn remove_project(&self, project: &ProjectSlug) -> Result<(), LaunchError> {
        self.namespaces.distrust(&self.namespace(project));
        namespace::remove(&self.client, &self.settings, project).await
    }

    async fn list(&self) -> Result<Vec<FoundJob>, LaunchError> {
        let mut found = Vec::new();
        for project in self.projects().await? {
            self.list_of(&project, &mut found).await?;
        }
        Ok(found)
    }
}

impl KubernetesLauncher {
    /// Namespace by namespace: outside of its own the worker may list nothing.
    async fn list_of(&self, project: &ProjectSlug, found: &mut Vec<FoundJob>) -> Result<(), LaunchError> {
        let jobs: Api<Job> = Api::namespaced(self.client.clone(), &self.namespace(project));
        let mut page = ListParams::default().labels(&names::agents_selector(&self.settings.instance)).limit(PAGE);
        loop {
            let jobs = call("listing Jobs", jobs.list_metadata(&page)).await?;
            for there in jobs.items.iter().filter(|there| there.metadata.deletion_timestamp.is_none()) {
                let since = ending::time(there.metadata.creation_timestamp.as_ref());
                let job = names::job_of(&there.metadata);
                found.extend(job.zip(since).map(|(job, since)| FoundJob { job, since }));
            }
            match jobs.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(()),
            }
        }
    }
}
