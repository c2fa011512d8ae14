//! Waiting for a Job's end: by the watch, and now and then by a look of one's own.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use domain::job_ending::JobEnding;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{Api, api::ListParams};
use tokio::time::Instant;

use super::{
    KubernetesLauncher,
    ending::{Judged, Seen, judge},
    events,
    failure::{call, find},
    kept::Lighter as _,
    names,
    watch::{Known, Watched},
};
use crate::{JobEvent, JobRef, LaunchError};

/// Pause after a look that the API server did not answer.
const RETRY: Duration = Duration::from_secs(2);

/// Trouble that may pass is looked at again so often: not all of its ends are told by the watch.
const TROUBLE: Duration = Duration::from_secs(15);

/// Of all the Jobs that nothing is known to be wrong with, one in so long is asked about, as long as they have not waited for long: the API
/// server reads all that was said in the namespace each time, and has enough to do where a hundred pods begin at once.
const APART: Duration = Duration::from_secs(5);

/// Shortest pause between two looks.
const SOON: Duration = Duration::from_millis(200);

/// Longest that the watch may take to tell of a Job for the first time, before one looks for oneself.
const FIRST: Duration = Duration::from_secs(5);

/// How far the two streams of the watch may be apart: a pod may be told of before its Job.
const STEP: Duration = Duration::from_millis(500);

/// Waits for the end.
pub(super) async fn ended(launcher: &KubernetesLauncher, job: &JobRef) -> Result<JobEnding, LaunchError> {
    let watched = watched(launcher, job);
    let begun = Instant::now();
    let mut wait = Wait {
        launcher,
        job,
        pods: BTreeMap::new(),
        begun,
        answered: begun,
        heard: 0,
        is_told_of: false,
        look_at: begun + FIRST,
    };
    let mut changes = watched.changes();
    loop {
        changes.mark_unchanged();
        if let Some(news) = watched.news(job, wait.heard) {
            wait.hear(&news);
        }
        if Instant::now() >= wait.look_at {
            let next = match wait.look().await {
                Ok(Judged::Ended(ending)) => return Ok(ending),
                Ok(judged) => wait.pause(&judged),
                Err(LaunchError::Refused(why)) => return Err(LaunchError::Refused(why)),
                Err(LaunchError::Unavailable(words)) if wait.away_too_long() => {
                    return Ok(JobEnding::ClusterAway { words });
                }
                Err(LaunchError::Unavailable(_)) => RETRY,
            };
            wait.look_at = Instant::now() + next;
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() {
                return Err(LaunchError::Unavailable("the watch of Jobs has ended".to_owned()));
            },
            () = tokio::time::sleep_until(wait.look_at) => {}
        }
    }
}

/// Whose turn it is to be asked about without need.
#[derive(Default)]
pub(super) struct Turns(Mutex<Option<Instant>>);

impl Turns {
    /// Whether a turn is free; it is taken then.
    fn take(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_free = last.is_none_or(|last| last.elapsed() >= APART);
        if is_free {
            *last = Some(Instant::now());
        }
        is_free
    }
}

struct Wait<'a> {
    launcher: &'a KubernetesLauncher,
    job: &'a JobRef,
    /// Every pod of the Job that was ever seen, as it was last: a pod that is gone is evidence, too.
    pods: BTreeMap<String, Arc<Pod>>,
    /// Since when is waited.
    begun: Instant,
    /// When the API server last answered, or told something.
    answered: Instant,
    /// What of the watch's news was taken in.
    heard: u64,
    /// Whether the Job itself was among it.
    is_told_of: bool,
    /// When to look for oneself.
    look_at: Instant,
}

impl Wait<'_> {
    /// Takes in what the watch tells. The two streams of it are not in step with each other: what they make look like an end is looked
    /// at. As long as they tell of a Job that is well, nobody need look.
    fn hear(&mut self, news: &Known) {
        self.heard = news.heard;
        self.pods.extend(news.pods.iter().map(|(uid, pod)| (uid.clone(), Arc::clone(pod))));
        let now = Instant::now();
        self.answered = now;
        let Some(job) = news.job.as_deref() else {
            self.look_at = self.look_at.min(now + STEP);
            return;
        };
        let is_first = !std::mem::replace(&mut self.is_told_of, true);
        let judged = self.judge(Some(job), &[]);
        let at = now + self.pause(&judged);
        let is_well = matches!(judged, Judged::Running | Judged::Starting);
        self.look_at = if is_first || is_well { at } else { self.look_at.min(at) };
    }

    /// Until the next look, unless the watch tells of something before.
    fn pause(&self, judged: &Judged) -> Duration {
        match judged {
            Judged::Ended(_) => Duration::ZERO,
            Judged::Running | Judged::Starting => self.launcher.settings.patience.look,
            Judged::Troubled { until } => {
                let left = *until - (self.launcher.settings.clock)();
                left.to_std().unwrap_or_default().clamp(SOON, TROUBLE)
            }
        }
    }

    fn away_too_long(&self) -> bool {
        self.answered.elapsed() >= self.launcher.settings.patience.cluster
    }

    fn judge(&self, job: Option<&Job>, events: &[JobEvent]) -> Judged {
        judge_now(self.launcher, job, &self.pods, events)
    }

    async fn look(&mut self) -> Result<Judged, LaunchError> {
        let job = find("looking at the Job", self.launcher.jobs(self.job).get(&self.job.name())).await?;
        let pods = pods(self.launcher, self.job).await?;
        self.answered = Instant::now();
        self.pods.extend(
            pods.into_iter().map(|pod| (pod.metadata.uid.clone().unwrap_or_default(), Arc::new(pod.lighter()))),
        );
        let judged = self.judge(job.as_ref(), &[]);
        let is_asked_about = match judged {
            Judged::Troubled { .. } => true,
            Judged::Starting => {
                self.begun.elapsed() >= self.launcher.settings.patience.start || self.launcher.turns.take()
            }
            Judged::Running | Judged::Ended(_) => false,
        };
        if !is_asked_about {
            return Ok(judged);
        }
        let events = events::of_job(self.launcher, self.job).await?;
        Ok(self.judge(job.as_ref(), &events))
    }
}

fn judge_now(
    launcher: &KubernetesLauncher,
    job: Option<&Job>,
    pods: &BTreeMap<String, Arc<Pod>>,
    events: &[JobEvent],
) -> Judged {
    let pods: Vec<&Pod> = pods.values().map(|pod| &**pod).collect();
    let now: DateTime<Utc> = (launcher.settings.clock)();
    judge(Seen { job, pods: &pods, events, now, patience: launcher.settings.patience })
}

/// Whether there is a pod, and nothing is known to be wrong with it, by what the watch has told to those who wait.
pub(super) fn is_well(launcher: &KubernetesLauncher, job: &JobRef) -> bool {
    let known = watched(launcher, job).news(job, 0);
    known.is_some_and(|known| {
        let judged = judge_now(launcher, known.job.as_deref(), &known.pods, &[]);
        !known.pods.is_empty() && matches!(judged, Judged::Running | Judged::Starting)
    })
}

fn watched(launcher: &KubernetesLauncher, job: &JobRef) -> Arc<Watched> {
    let selector = names::agents_selector(&launcher.settings.instance);
    launcher.watches.of(&launcher.client, &launcher.namespace(&job.project), &selector)
}

/// The pods of a Job that are there.
pub(super) async fn pods(launcher: &KubernetesLauncher, job: &JobRef) -> Result<Vec<Pod>, LaunchError> {
    let pods: Api<Pod> = Api::namespaced(launcher.client.clone(), &launcher.namespace(&job.project));
    let of_job = ListParams::default().labels(&names::pods_selector(job));
    Ok(call("looking at the Job's pods", pods.list(&of_job)).await?.items)
}
