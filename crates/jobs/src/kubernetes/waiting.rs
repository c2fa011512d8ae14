//! Waiting for a Job's end: by the watch, and now and then by a look of one's own.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

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
    names,
    watch::Known,
};
use crate::{JobEvent, JobRef, LaunchError};

/// Pause after a look that the API server did not answer.
const RETRY: Duration = Duration::from_secs(2);

/// Trouble that may pass is looked at again so often: not all of its ends are told by the watch.
const TROUBLE: Duration = Duration::from_secs(15);

/// Waits for the end.
pub(super) async fn ended(launcher: &KubernetesLauncher, job: &JobRef) -> Result<JobEnding, LaunchError> {
    let selector = names::agents_selector(&launcher.settings.instance);
    let watched = launcher.watches.of(&launcher.client, &launcher.namespace(&job.project), &selector);
    let mut wait = Wait { launcher, job, pods: BTreeMap::new(), answered: Instant::now() };
    let mut changes = watched.changes();
    let (mut look_at, mut heard) = (Instant::now(), 0);
    loop {
        changes.mark_unchanged();
        let news = watched.news(job, heard);
        let is_suspect = news.is_some_and(|known| {
            heard = known.heard;
            wait.remember(&known);
            known.job.is_none() || matches!(wait.judge(known.job.as_deref(), &[]), Judged::Ended(_))
        });
        let next = if is_suspect || Instant::now() >= look_at {
            match wait.look().await {
                Ok(Looked::Ended(ending)) => return Ok(ending),
                Ok(Looked::Again(after)) => after,
                Err(LaunchError::Refused(why)) => return Err(LaunchError::Refused(why)),
                Err(LaunchError::Unavailable(words)) => match wait.away_too_long() {
                    true => return Ok(JobEnding::ClusterAway { words }),
                    false => RETRY,
                },
            }
        } else {
            look_at.saturating_duration_since(Instant::now())
        };
        look_at = Instant::now() + next;
        tokio::select! {
            changed = changes.changed() => if changed.is_err() {
                return Err(LaunchError::Unavailable("the watch of Jobs has ended".to_owned()));
            },
            () = tokio::time::sleep_until(look_at) => {}
        }
    }
}

enum Looked {
    Ended(JobEnding),
    /// Nothing to say yet; look again after this unless the watch tells of a change before.
    Again(Duration),
}

struct Wait<'a> {
    launcher: &'a KubernetesLauncher,
    job: &'a JobRef,
    /// Every pod of the Job that was ever seen, as it was last: a pod that is gone is evidence, too.
    pods: BTreeMap<String, Arc<Pod>>,
    /// When the API server last answered.
    answered: Instant,
}

impl Wait<'_> {
    fn remember(&mut self, known: &Known) {
        self.pods.extend(known.pods.iter().map(|(uid, pod)| (uid.clone(), Arc::clone(pod))));
    }

    fn away_too_long(&self) -> bool {
        self.answered.elapsed() >= self.launcher.settings.patience.cluster
    }

    fn judge(&self, job: Option<&Job>, events: &[JobEvent]) -> Judged {
        let pods: Vec<&Pod> = self.pods.values().map(|pod| &**pod).collect();
        let now: DateTime<Utc> = (self.launcher.settings.clock)();
        let patience = self.launcher.settings.patience;
        judge(Seen { job, pods: &pods, events, now, patience })
    }

    /// The two streams of the watch are not in step with each other: what they make look like an end is looked at.
    async fn look(&mut self) -> Result<Looked, LaunchError> {
        let job = find("looking at the Job", self.launcher.jobs(self.job).get(&self.job.name())).await?;
        let pods = pods(self.launcher, self.job).await?;
        self.answered = Instant::now();
        self.pods.extend(pods.into_iter().map(|pod| (pod.metadata.uid.clone().unwrap_or_default(), Arc::new(pod))));
        let mut judged = self.judge(job.as_ref(), &[]);
        if matches!(judged, Judged::Troubled { .. }) {
            let events = events::of_job(self.launcher, self.job).await?;
            judged = self.judge(job.as_ref(), &events);
        }
        Ok(match judged {
            Judged::Ended(ending) => Looked::Ended(ending),
            Judged::Running => Looked::Again(self.launcher.settings.patience.look),
            Judged::Troubled { until } => {
                let left = until - (self.launcher.settings.clock)();
                Looked::Again(left.to_std().unwrap_or_default().clamp(Duration::from_millis(200), TROUBLE))
            }
        })
    }
}

/// The pods of a Job that are there.
pub(super) async fn pods(launcher: &KubernetesLauncher, job: &JobRef) -> Result<Vec<Pod>, LaunchError> {
    let pods: Api<Pod> = Api::namespaced(launcher.client.clone(), &launcher.namespace(&job.project));
    let of_job = ListParams::default().labels(&names::pods_selector(job));
    Ok(call("looking at the Job's pods", pods.list(&of_job)).await?.items)
}
