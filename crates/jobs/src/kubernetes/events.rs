//! What the cluster says about a Job and its pods.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use k8s_openapi::api::core::v1::Event;
use kube::{Api, api::ListParams};

use super::{KubernetesLauncher, ending::time, failure::call, waiting::pods};
use crate::{JobEvent, JobRef, LaunchError};

/// Most events read of one object.
const MOST: u32 = 100;

/// How the Job's controller tells of a pod that it made.
const MADE: &str = "Created pod: ";

/// All of them, oldest first. Pods that are gone are known from the Job's own events.
pub(super) async fn of_job(launcher: &KubernetesLauncher, job: &JobRef) -> Result<Vec<JobEvent>, LaunchError> {
    let events: Api<Event> = Api::namespaced(launcher.client.clone(), &launcher.namespace(&job.project));
    let about_job = about(&events, &job.name()).await?;
    let mut names: Vec<String> = pods(launcher, job).await?.into_iter().filter_map(|pod| pod.metadata.name).collect();
    let made = about_job.iter().filter_map(|event| event.message.as_deref()?.strip_prefix(MADE));
    names.extend(made.map(str::to_owned));
    names.sort();
    names.dedup();
    let mut all: BTreeMap<String, JobEvent> = BTreeMap::new();
    let mut add = |events: Vec<Event>| {
        all.extend(events.into_iter().filter_map(read).map(|event| (event.uid.clone(), event)));
    };
    add(about_job);
    for name in names {
        add(about(&events, &name).await?);
    }
    let mut all: Vec<JobEvent> = all.into_values().collect();
    all.sort_by(|one, other| (one.at, &one.uid).cmp(&(other.at, &other.uid)));
    Ok(all)
}

async fn about(events: &Api<Event>, name: &str) -> Result<Vec<Event>, LaunchError> {
    let list = ListParams::default().fields(&format!("involvedObject.name={name}")).limit(MOST);
    Ok(call("reading what is said about the Job", events.list(&list)).await?.items)
}

fn read(event: Event) -> Option<JobEvent> {
    let series = event.series.as_ref();
    let micro = |at: &k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime| -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(at.0.as_second(), 0)
    };
    let at = series
        .and_then(|series| micro(series.last_observed_time.as_ref()?))
        .or_else(|| time(event.last_timestamp.as_ref()))
        .or_else(|| micro(event.event_time.as_ref()?))
        .or_else(|| time(event.metadata.creation_timestamp.as_ref()))?;
    let count = series.and_then(|series| series.count).or(event.count).unwrap_or(1);
    Some(JobEvent {
        uid: event.metadata.uid?,
        count: u32::try_from(count).unwrap_or(1).max(1),
        at,
        warning: event.type_.as_deref() == Some("Warning"),
        reason: event.reason.unwrap_or_default(),
        message: event.message.unwrap_or_default(),
    })
}
