//! What the cluster says about a Job and its pods.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use k8s_openapi::api::{core::v1::Event, networking::v1::NetworkPolicy};
use kube::{Api, api::ListParams};

use super::{KubernetesLauncher, ending::time, failure::call, names, policies, waiting::pods};
use crate::{JobEvent, JobRef, LaunchError, foreign::foreign_policies};

/// Most events read of one object.
const MOST: u32 = 100;

/// How the Job's controller tells of a pod that it made.
const MADE: &str = "Created pod: ";

/// The reason of what we say ourselves of a policy that is not ours.
const FOREIGN_POLICY: &str = "ForeignNetworkPolicy";

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
    match foreign(launcher, job).await {
        Ok(told) => all.extend(told.into_iter().map(|event| (event.uid.clone(), event))),
        Err(error) => tracing::warn!(%error, "whether other network policies select agents is not known"),
    }
    let mut all: Vec<JobEvent> = all.into_values().collect();
    all.sort_by(|one, other| (one.at, &one.uid).cmp(&(other.at, &other.uid)));
    Ok(all)
}

/// Policies add up, so one that somebody else made opens ways for the agent that ours do not: it is told with the run. The worker
/// may not take it away.
async fn foreign(launcher: &KubernetesLauncher, job: &JobRef) -> Result<Vec<JobEvent>, LaunchError> {
    let there: Api<NetworkPolicy> = Api::namespaced(launcher.client.clone(), &launcher.namespace(&job.project));
    let there = call("reading the network policies", there.list(&ListParams::default().limit(MOST))).await?.items;
    let labels = names::job_labels(&launcher.settings.instance, job);
    let found = foreign_policies(&there, &labels, &policies::NAMES);
    Ok(found.into_iter().filter_map(told).collect())
}

fn told(policy: &NetworkPolicy) -> Option<JobEvent> {
    let (name, uid) = (policy.metadata.name.as_ref()?, policy.metadata.uid.clone()?);
    tracing::warn!(policy = name, "a network policy that is not ours selects agents");
    Some(JobEvent {
        uid,
        count: 1,
        at: time(policy.metadata.creation_timestamp.as_ref())?,
        warning: true,
        reason: FOREIGN_POLICY.to_owned(),
        message: format!(
            "the network policy `{name}` is not the platform's and selects this agent: what it allows is added to what ours do"
        ),
    })
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
