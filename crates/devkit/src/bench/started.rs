//! When containers start, as a watch tells it: the same eyes for both sides of a comparison.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jobs::kubernetes::{AGENT, AGENT_CONTAINER, COMPONENT};
use k8s_openapi::api::{
    batch::v1::{Job, JobSpec},
    core::v1::{Pod, Secret},
};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, ObjectMeta, PostParams},
    runtime::{WatchStreamExt as _, watcher},
};
use tokio::{task::JoinHandle, time::Instant};

use crate::harness::until;

/// What an agent of the baseline does: as one at work, until it is asked to end.
const AT_WORK: &str = "trap 'exit 0' TERM; sleep 600 & wait";

/// However busy the machine is, a container starts or does not within this.
const LIMIT: Duration = Duration::from_secs(300);

/// The machine is at rest when it was for so long.
const AT_REST_FOR: Duration = Duration::from_secs(3);

/// The label by which a pod tells its Job's name.
const JOB_NAME: &str = "batch.kubernetes.io/job-name";

/// When the pods of a namespace, and their agents' containers, were first seen.
pub(super) struct Started {
    pods: Api<Pod>,
    seen: Arc<Mutex<Seen>>,
    watching: JoinHandle<()>,
}

/// By Job.
#[derive(Default)]
struct Seen {
    made: HashMap<String, Instant>,
    started: HashMap<String, Instant>,
}

/// The last of some Jobs.
#[derive(Clone, Copy)]
pub(super) struct Last {
    /// Its pod was there.
    pub(super) made: Instant,
    /// Its agent's container had started.
    pub(super) started: Instant,
}

/// How long it took until the last of some Jobs was so far.
#[derive(Clone, Copy)]
pub(super) struct Took {
    /// Its pod was there.
    pub(super) made: Duration,
    /// Its agent's container had started.
    pub(super) started: Duration,
}

impl Last {
    pub(super) fn since(self, begun: Instant) -> Took {
        Took { made: self.made - begun, started: self.started - begun }
    }
}

impl Started {
    pub(super) fn watch(client: &Client, namespace: &str) -> Self {
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let told = Arc::clone(&seen);
        let watched = pods.clone();
        let watching = tokio::spawn(async move {
            let mut changes = watcher(watched, watcher::Config::default()).default_backoff().applied_objects().boxed();
            while let Some(change) = changes.next().await {
                let Ok(pod) = change else { continue };
                let job = pod.metadata.labels.as_ref().and_then(|labels| labels.get(JOB_NAME)).cloned();
                let Some(job) = job else { continue };
                let mut seen = lock(&told);
                if has_started(&pod) {
                    seen.started.entry(job.clone()).or_insert_with(Instant::now);
                }
                seen.made.entry(job).or_insert_with(Instant::now);
            }
        });
        Self { pods, seen, watching }
    }

    /// Waits until the containers of all these Jobs have started; gives when the last had.
    pub(super) async fn all(&self, jobs: &[String]) -> anyhow::Result<Last> {
        let last_of = |seen: &HashMap<String, Instant>| {
            jobs.iter().map(|job| seen.get(job).copied()).collect::<Option<Vec<Instant>>>()?.into_iter().max()
        };
        let last = || {
            let seen = lock(&self.seen);
            Some(Last { made: last_of(&seen.made)?, started: last_of(&seen.started)? })
        };
        let waiting = async {
            loop {
                if let Some(last) = last() {
                    return last;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LIMIT, waiting).await.with_context(|| format!("not all of {jobs:?} started"))
    }

    /// Waits until no pod is left, and the machine has nothing to do: taking a pod away is work for the node, of which the larger part
    /// comes when the pod is gone, and which would slow whatever starts next.
    pub(super) async fn rest(&self) -> anyhow::Result<()> {
        let gone = until(LIMIT, async || {
            Ok(self.pods.list_metadata(&ListParams::default()).await?.items.is_empty().then_some(()))
        });
        gone.await?.context("the pods of before do not go away")?;
        let mut before = Processors::now()?;
        let idle = until(LIMIT, async || {
            tokio::time::sleep(AT_REST_FOR).await;
            let earlier = std::mem::replace(&mut before, Processors::now()?);
            Ok(earlier.is_at_rest_until(before).then_some(()))
        });
        idle.await?.context("the machine does not come to rest")
    }
}

/// What all processors have done since the machine began, in ticks.
#[derive(Clone, Copy)]
struct Processors {
    idle: u64,
    all: u64,
}

impl Processors {
    fn now() -> anyhow::Result<Self> {
        let told = std::fs::read_to_string("/proc/stat").context("what the processors do")?;
        let ticks: Vec<u64> =
            told.lines().next().into_iter().flat_map(str::split_whitespace).flat_map(str::parse).collect();
        // user, nice, system, idle, iowait, irq, softirq, steal; those of guests are in the first two.
        let idle = ticks.iter().skip(3).take(2).sum();
        Ok(Self { idle, all: ticks.iter().take(8).sum() })
    }

    /// Whether a third of them at most was at work from now to then.
    fn is_at_rest_until(self, then: Self) -> bool {
        (then.idle - self.idle) * 3 >= (then.all - self.all) * 2
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn has_started(pod: &Pod) -> bool {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let mut agents = statuses.filter(|status| status.name == AGENT_CONTAINER);
    agents
        .any(|status| status.state.as_ref().is_some_and(|state| state.running.is_some() || state.terminated.is_some()))
}

/// Makes Jobs of a given shape through the API, as anybody could.
pub(super) struct Bare {
    jobs: Api<Job>,
    secrets: Api<Secret>,
    spec: JobSpec,
}

impl Bare {
    /// Jobs of the shape of the next one in this namespace, which is waited for.
    pub(super) async fn like_the_next(client: &Client, namespace: &str) -> anyhow::Result<Self> {
        let jobs: Api<Job> = Api::namespaced(client.clone(), namespace);
        let mut all = watcher(jobs.clone(), watcher::Config::default()).default_backoff().applied_objects().boxed();
        let first = tokio::time::timeout(LIMIT, async {
            while let Some(job) = all.next().await {
                if let Some(spec) = job.ok().and_then(|job| job.spec) {
                    return Some(spec);
                }
            }
            None
        });
        let mut spec = first.await.ok().flatten().context("no Job was seen")?;
        // The server makes it up anew.
        spec.selector = None;
        Ok(Self { jobs, secrets: Api::namespaced(client.clone(), namespace), spec })
    }

    /// Makes so many at once, and waits until all containers have started, and then until all are gone. Gives how long the start
    /// took.
    pub(super) async fn start(&self, started: &Started, number: usize) -> anyhow::Result<Took> {
        let names: Vec<String> = (0..number).map(|_| format!("bare-{}", crate::secrets::random_hex(4))).collect();
        for name in &names {
            let secret: Secret = serde_json::from_value(serde_json::json!({
                "metadata": { "name": name }, "stringData": { "token": AT_WORK },
            }))?;
            self.secrets.create(&PostParams::default(), &secret).await?;
        }
        let begun = Instant::now();
        let made = stream::iter(&names).map(|name| self.make(name));
        made.buffer_unordered(number).try_collect::<Vec<()>>().await?;
        let last = started.all(&names).await?;
        for name in &names {
            self.jobs.delete(name, &DeleteParams::background()).await?;
            self.secrets.delete(name, &DeleteParams::default()).await?;
        }
        started.rest().await?;
        Ok(last.since(begun))
    }

    async fn make(&self, name: &str) -> anyhow::Result<()> {
        let mut spec = self.spec.clone();
        let pod = spec.template.spec.as_mut().context("a Job has a pod")?;
        for volume in pod.volumes.iter_mut().flatten() {
            if let Some(secret) = &mut volume.secret {
                secret.secret_name = Some(name.to_owned());
            }
        }
        // Nobody is to take it for a run's.
        let labels = [(COMPONENT.to_owned(), AGENT.to_owned())].into();
        spec.template.metadata = Some(ObjectMeta { labels: Some(labels), ..ObjectMeta::default() });
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        self.jobs.create(&PostParams::default(), &Job { metadata, spec: Some(spec), status: None }).await?;
        Ok(())
    }
}
