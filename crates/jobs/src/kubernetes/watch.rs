//! One watch of the Jobs and pods of a project's namespace, shared by everybody who waits for one there.
//!
//! Two streams, however many Jobs are at work in it, and none where nobody waits. It is one namespace, since the worker may
//! look into no other than its own. A stream that breaks is taken up where it was, or begun anew with a list; who
//! waits also looks for itself now and then, so that nothing rests on a stream alone.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use futures::StreamExt as _;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    Api, Client, Resource,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};
use serde::de::DeserializeOwned;
use tokio::{sync::watch, task::JoinHandle};

use super::{kept::Lighter, names::job_of};
use crate::JobRef;

/// Longest that one call of the watch stays open. A connection that died silently is noticed then.
const CALL_SECS: u32 = 120;

/// What was last seen of a Job.
#[derive(Clone, Default)]
pub(super) struct Known {
    /// Counts what was heard of this Job.
    pub(super) heard: u64,
    pub(super) job: Option<Arc<Job>>,
    pub(super) pods: BTreeMap<String, Arc<Pod>>,
}

impl Known {
    fn is_empty(&self) -> bool {
        self.job.is_none() && self.pods.is_empty()
    }
}

/// The watches that somebody waits by.
#[derive(Default)]
pub(super) struct Watches {
    of: Mutex<HashMap<String, Weak<Watched>>>,
}

impl Watches {
    /// The watch of a namespace; it ends when the last one who holds it lets go.
    pub(super) fn of(&self, client: &Client, namespace: &str, selector: &str) -> Arc<Watched> {
        let mut all = lock(&self.of);
        if let Some(there) = all.get(namespace).and_then(Weak::upgrade) {
            return there;
        }
        all.retain(|_, watch| watch.strong_count() > 0);
        let begun = Arc::new(Watched::begin(client, namespace, selector));
        all.insert(namespace.to_owned(), Arc::downgrade(&begun));
        begun
    }
}

/// Everything that is known, and word of each change.
pub(super) struct Watched {
    known: Arc<Mutex<HashMap<JobRef, Known>>>,
    changes: watch::Receiver<u64>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Watched {
    /// Begins to watch what the selector selects.
    fn begin(client: &Client, namespace: &str, selector: &str) -> Self {
        let (told, changes) = watch::channel(0);
        let known: Arc<Mutex<HashMap<JobRef, Known>>> = Arc::default();
        let jobs = Api::<Job>::namespaced(client.clone(), namespace);
        let pods = Api::<Pod>::namespaced(client.clone(), namespace);
        let jobs = follow(jobs, selector.to_owned(), Arc::clone(&known), told.clone());
        let pods = follow(pods, selector.to_owned(), Arc::clone(&known), told);
        Self { known, changes, tasks: [tokio::spawn(jobs), tokio::spawn(pods)] }
    }

    /// What is known of a Job now; none if nothing was heard of it since.
    pub(super) fn news(&self, job: &JobRef, since: u64) -> Option<Known> {
        lock(&self.known).get(job).filter(|known| known.heard != since).cloned()
    }

    /// Wakes at every change.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A kind of object that is followed: how one is put into what is known, and taken out.
trait Followed:
    Lighter + Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static
{
    fn put(self, into: &mut Known);
    fn take(&self, from: &mut Known);
    /// Takes out what a list did not have.
    fn keep_listed(of: &mut Known, listed: &HashSet<String>);
}

impl Followed for Job {
    fn put(self, into: &mut Known) {
        into.job = Some(Arc::new(self));
    }

    fn take(&self, from: &mut Known) {
        *from = Known::default();
    }

    fn keep_listed(of: &mut Known, listed: &HashSet<String>) {
        if of.job.as_ref().is_some_and(|job| !listed.contains(uid(&**job))) {
            *of = Known::default();
        }
    }
}

impl Followed for Pod {
    fn put(self, into: &mut Known) {
        into.pods.insert(uid(&self).to_owned(), Arc::new(self));
    }

    /// Its last state is evidence: it stays as long as its Job is known.
    fn take(&self, from: &mut Known) {
        if from.job.is_none() {
            from.pods.remove(uid(self));
        } else {
            self.clone().put(from);
        }
    }

    fn keep_listed(of: &mut Known, listed: &HashSet<String>) {
        if of.job.is_none() {
            of.pods.retain(|uid, _| listed.contains(uid));
        }
    }
}

fn uid<K: Resource>(of: &K) -> &str {
    of.meta().uid.as_deref().unwrap_or_default()
}

async fn follow<K: Followed>(
    api: Api<K>,
    selector: String,
    known: Arc<Mutex<HashMap<JobRef, Known>>>,
    told: watch::Sender<u64>,
) {
    let config = watcher::Config::default().labels(&selector).timeout(CALL_SECS);
    let mut stream = std::pin::pin!(watcher::watcher(api, config).default_backoff());
    let mut listed = HashSet::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => {
                take_in(&mut lock(&known), &mut listed, event);
                told.send_modify(|changes| *changes += 1);
            }
            Err(error) => tracing::debug!(kind = %K::kind(&()), %error, "the watch broke and is taken up again"),
        }
    }
}

fn take_in<K: Followed>(known: &mut HashMap<JobRef, Known>, listed: &mut HashSet<String>, event: Event<K>) {
    match event {
        Event::Init => listed.clear(),
        Event::InitApply(object) => {
            listed.insert(uid(&object).to_owned());
            put(known, object);
        }
        Event::Apply(object) => put(known, object),
        Event::Delete(object) => {
            if let Some(of) = job_of(object.meta()).and_then(|job| known.get_mut(&job)) {
                object.lighter().take(of);
                of.heard += 1;
            }
        }
        Event::InitDone => known.values_mut().for_each(|of| K::keep_listed(of, listed)),
    }
    known.retain(|_, of| !of.is_empty());
}

fn put<K: Followed>(known: &mut HashMap<JobRef, Known>, object: K) {
    if let Some(job) = job_of(object.meta()) {
        let of = known.entry(job).or_default();
        object.lighter().put(of);
        of.heard += 1;
    }
}
