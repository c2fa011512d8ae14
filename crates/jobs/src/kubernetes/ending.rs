//! How a Job ended, read from what the cluster says about it. Pure: the same objects give the same answer.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::job_ending::{InitStep, JobEnding};
use k8s_openapi::{
    api::{
        batch::v1::{Job, JobCondition},
        core::v1::{ContainerStateTerminated, ContainerStatus, Pod, PodCondition},
    },
    apimachinery::pkg::apis::meta::v1::Time,
};

use super::{
    pod::{AGENT_CONTAINER, NETWORK_STEP, TOOLS_STEP},
    settings::Patience,
};
use crate::JobEvent;

/// SIGKILL, in an exit code.
const KILLED: i32 = 137;

/// What is known of a Job at a moment.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// The Job; none once it is certain that there is none.
    pub job: Option<&'a Job>,
    /// Its pods.
    pub pods: &'a [&'a Pod],
    /// What is said about both; may be left out as long as everything goes well.
    pub events: &'a [JobEvent],
    /// Now.
    pub now: DateTime<Utc>,
    /// How long what may pass is waited for.
    pub patience: Patience,
}

/// Whether a Job has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It goes on as far as is known.
    Running,
    /// It has not begun. Nothing is known to be wrong, but what keeps it may be told by events alone: it is to be judged with them
    /// now and then.
    Starting,
    /// It has trouble that may pass; it is to be judged again then, with its events.
    Troubled {
        /// The moment from which the trouble counts as its end.
        until: DateTime<Utc>,
    },
    /// It has ended.
    Ended(JobEnding),
}

/// Judges what is known of a Job.
#[must_use]
pub fn judge(seen: Seen<'_>) -> Judged {
    if let Some(deadline) = seen.job.and_then(deadline) {
        return Judged::Ended(deadline);
    }
    if let Some(ending) = seen.pods.iter().find_map(|pod| ended(seen, pod)) {
        return Judged::Ended(ending);
    }
    let Some(job) = seen.job else {
        return Judged::Ended(deleted("the Job is not there any more"));
    };
    if condition(job, "Complete").is_some() {
        return Judged::Ended(JobEnding::Completed);
    }
    if condition(job, "Failed").is_some() {
        return Judged::Ended(deleted("its pod is not there any more"));
    }
    if let Some(pod) = seen.pods.first() {
        return waiting(seen, pod);
    }
    if job.metadata.deletion_timestamp.is_some() {
        return Judged::Ended(deleted("the Job is being deleted"));
    }
    no_pod(seen, job)
}

/// The controller says why it ends a Job before it does.
fn deadline(job: &Job) -> Option<JobEnding> {
    let over = ["FailureTarget", "Failed"].into_iter().filter_map(|kind| condition(job, kind));
    let over = over.into_iter().any(|condition| condition.reason.as_deref() == Some("DeadlineExceeded"));
    // What the pod may take is what people asked for; the Job's own deadline also has the waiting in it.
    let spec = job.spec.as_ref();
    let of_pod = spec.and_then(|spec| spec.template.spec.as_ref()?.active_deadline_seconds);
    let seconds = of_pod.or_else(|| spec?.active_deadline_seconds).unwrap_or_default();
    over.then(|| JobEnding::Deadline { seconds: u64::try_from(seconds).unwrap_or_default() })
}

/// A pod that is over, or as good as over.
fn ended(seen: Seen<'_>, pod: &Pod) -> Option<JobEnding> {
    let status = pod.status.as_ref()?;
    if let Some(ending) = disrupted(pod) {
        return Some(ending);
    }
    if !is_pod_over(pod) {
        return None;
    }
    match status.reason.as_deref() {
        Some("Evicted" | "Preempting" | "Shutdown" | "NodeShutdown" | "Terminated") => {
            return Some(JobEnding::Evicted { why: status.message.clone().unwrap_or_default() });
        }
        Some("DeadlineExceeded") => {
            let seconds = pod.spec.as_ref().and_then(|spec| spec.active_deadline_seconds).unwrap_or_default();
            return Some(JobEnding::Deadline { seconds: u64::try_from(seconds).unwrap_or_default() });
        }
        Some("NodeLost") => return Some(JobEnding::NodeLost { node: node(pod) }),
        _ => {}
    }
    let init = status.init_container_statuses.iter().flatten();
    for step in init {
        if let Some(over) = terminated(step).filter(|over| over.exit_code != 0) {
            return Some(if is_deleted(seen, pod) { by_somebody(seen) } else { failed_step(pod, step, over) });
        }
    }
    let agent = status.container_statuses.iter().flatten().find(|container| container.name == AGENT_CONTAINER);
    Some(match agent.and_then(terminated) {
        Some(over) if over.exit_code == 0 => JobEnding::Completed,
        Some(over) if over.reason.as_deref() == Some("OOMKilled") => out_of_memory(pod, AGENT_CONTAINER, true),
        _ if is_deleted(seen, pod) => by_somebody(seen),
        Some(over) if over.reason.as_deref() == Some("StartError") => unfit(pod, over),
        Some(over) if over.reason.as_deref() == Some("ContainerStatusUnknown") => JobEnding::Vanished,
        Some(over) if over.exit_code == KILLED => out_of_memory(pod, AGENT_CONTAINER, false),
        Some(over) => JobEnding::Failed { exit_code: over.exit_code },
        None => JobEnding::Vanished,
    })
}

/// A pod that had to leave: what the cluster did to it and why is in a condition.
fn disrupted(pod: &Pod) -> Option<JobEnding> {
    let condition = pod_condition(pod, "DisruptionTarget").filter(|condition| condition.status == "True")?;
    let words = condition.message.clone().unwrap_or_default();
    Some(match condition.reason.as_deref() {
        Some("DeletionByPodGC") => JobEnding::NodeLost { node: node(pod) },
        // Its words are the same whoever put the taint there, and the launcher has no right to read nodes. But of a node that is not
        // heard of the pods count as unready before they have to leave, while one that a person taints still tells that they are well.
        // A pod whose agent has not begun is unready on either, and then it was put out for all that is known.
        Some("DeletionByTaintManager") => {
            lost_node(pod).map_or(JobEnding::Evicted { why: words }, |node| JobEnding::NodeLost { node })
        }
        Some("TerminationByKubelet") => {
            let status = pod.status.as_ref();
            let said = status.and_then(|status| status.message.clone()).filter(|said| !said.is_empty());
            JobEnding::Evicted { why: said.unwrap_or(words) }
        }
        _ => JobEnding::Evicted { why: words },
    })
}

fn failed_step(pod: &Pod, step: &ContainerStatus, over: &ContainerStateTerminated) -> JobEnding {
    if over.reason.as_deref() == Some("OOMKilled") {
        return out_of_memory(pod, &step.name, true);
    }
    let which = match step.name.as_str() {
        TOOLS_STEP => InitStep::Tools,
        NETWORK_STEP => InitStep::Network,
        other => InitStep::Other(other.to_owned()),
    };
    let words = over.message.clone().unwrap_or_default();
    JobEnding::InitFailed { step: which, exit_code: over.exit_code, words }
}

fn out_of_memory(pod: &Pod, container: &str, certain: bool) -> JobEnding {
    let spec = pod.spec.as_ref();
    let init = spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
    let main = spec.map(|spec| spec.containers.as_slice()).unwrap_or_default();
    let resources = init.iter().chain(main).find(|of| of.name == container).and_then(|of| of.resources.as_ref());
    let limit = resources.and_then(|of| of.limits.as_ref()?.get("memory")).map(|amount| amount.0.clone());
    JobEnding::OutOfMemory { limit, certain }
}

fn unfit(pod: &Pod, over: &ContainerStateTerminated) -> JobEnding {
    JobEnding::ImageUnfit { image: image(pod, AGENT_CONTAINER), words: over.message.clone().unwrap_or_default() }
}

fn is_deleted(seen: Seen<'_>, pod: &Pod) -> bool {
    let job = seen.job.is_none_or(|job| job.metadata.deletion_timestamp.is_some());
    pod.metadata.deletion_timestamp.is_some() || job
}

fn by_somebody(seen: Seen<'_>) -> JobEnding {
    let job = seen.job.is_none_or(|job| job.metadata.deletion_timestamp.is_some());
    deleted(if job { "the Job was deleted" } else { "its pod was deleted" })
}

fn deleted(words: &str) -> JobEnding {
    JobEnding::Deleted { words: words.to_owned() }
}

/// A pod that has not ended: it may be at work, or wait for something that does not come.
fn waiting(seen: Seen<'_>, pod: &Pod) -> Judged {
    if pod.metadata.deletion_timestamp.is_some()
        || pod.status.as_ref().is_none_or(|status| status.phase.as_deref() != Some("Pending"))
    {
        return Judged::Running;
    }
    let made = seen.job.and_then(|job| time(job.metadata.creation_timestamp.as_ref())).unwrap_or(seen.now);
    let Some(scheduled) = pod_condition(pod, "PodScheduled") else { return Judged::Running };
    if scheduled.status != "True" {
        let words = scheduled.message.clone().unwrap_or_default();
        return after(seen, made, seen.patience.room, JobEnding::Unschedulable { words });
    }
    let since = time(scheduled.last_transition_time.as_ref()).unwrap_or(made);
    let status = pod.status.as_ref();
    let containers = status.into_iter().flat_map(|status| {
        status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten())
    });
    for container in containers {
        let Some(waits) = container.state.as_ref().and_then(|state| state.waiting.as_ref()) else { continue };
        let words = waits.message.clone().unwrap_or_default();
        let pull = |words| JobEnding::ImagePull { image: image(pod, &container.name), words };
        match waits.reason.as_deref() {
            Some("InvalidImageName" | "ErrImageNeverPull") => return Judged::Ended(pull(words)),
            Some("ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" | "ImageInspectError") => {
                // The back-off's own words name no cause; the last pull's do.
                let said = seen.events.iter().rev().find(|event| event.message.starts_with("Failed to pull image"));
                let words = said.map_or(words, |event| event.message.clone());
                return after(seen, since, seen.patience.image, pull(words));
            }
            Some("CreateContainerError" | "RunContainerError") => {
                return after(seen, since, seen.patience.start, JobEnding::NotStarted { words });
            }
            _ => {}
        }
    }
    let trouble = ["FailedCreatePodSandBox", "FailedMount", "FailedAttachVolume"];
    let said = seen.events.iter().rev().find(|event| trouble.contains(&event.reason.as_str()));
    match (has_begun(pod), said) {
        (true, _) => Judged::Running,
        (false, Some(said)) => {
            after(seen, since, seen.patience.start, JobEnding::NotStarted { words: said.message.clone() })
        }
        (false, None) => Judged::Starting,
    }
}

/// A Job without a pod: its controller may be slow, or is not allowed to make one.
fn no_pod(seen: Seen<'_>, job: &Job) -> Judged {
    let made = time(job.metadata.creation_timestamp.as_ref()).unwrap_or(seen.now);
    match seen.events.iter().rev().find(|event| event.reason == "FailedCreate") {
        Some(said) if said.message.contains("exceeded quota") => {
            after(seen, made, seen.patience.room, JobEnding::Quota { words: said.message.clone() })
        }
        Some(said) => after(seen, made, seen.patience.start, JobEnding::NotStarted { words: said.message.clone() }),
        None => Judged::Starting,
    }
}

fn after(seen: Seen<'_>, since: DateTime<Utc>, patience: Duration, ending: JobEnding) -> Judged {
    let until = since + delta(patience);
    if seen.now >= until { Judged::Ended(ending) } else { Judged::Troubled { until } }
}

fn delta(of: Duration) -> TimeDelta {
    TimeDelta::from_std(of).unwrap_or(TimeDelta::MAX)
}

fn terminated(container: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    container.state.as_ref()?.terminated.as_ref()
}

/// Whether a pod is over, however it went.
#[must_use]
pub fn is_pod_over(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Whether anything in a pod has run: its volumes are there then.
#[must_use]
pub fn has_begun(pod: &Pod) -> bool {
    let status = pod.status.iter();
    status
        .flat_map(|status| status.init_container_statuses.iter().chain(&status.container_statuses).flatten())
        .any(container_has_begun)
}

fn container_has_begun(container: &ContainerStatus) -> bool {
    container.state.as_ref().is_some_and(|state| state.running.is_some() || state.terminated.is_some())
}

fn condition<'a>(job: &'a Job, kind: &str) -> Option<&'a JobCondition> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == kind && condition.status == "True")
}

/// Whether a Job says that it is over.
#[must_use]
pub fn is_over(job: &Job) -> bool {
    condition(job, "Complete").is_some()
        || condition(job, "Failed").is_some()
        || job.metadata.deletion_timestamp.is_some()
}

fn pod_condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind)
}

fn node(pod: &Pod) -> String {
    pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default()
}

fn image(pod: &Pod, container: &str) -> String {
    let spec = pod.spec.as_ref();
    let init = spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
    let main = spec.map(|spec| spec.containers.as_slice()).unwrap_or_default();
    init.iter().chain(main).find(|of| of.name == container).and_then(|of| of.image.clone()).unwrap_or_default()
}

/// The node of a pod, if the cluster has not heard of that node for a while: it takes the pod for unready then, while the containers
/// are as the node had told at last.
#[must_use]
pub fn lost_node(pod: &Pod) -> Option<String> {
    let at_work = |container: &ContainerStatus| container.state.as_ref().is_some_and(|state| state.running.is_some());
    let containers = pod.status.as_ref()?.container_statuses.as_deref().unwrap_or_default();
    let ready = pod_condition(pod, "Ready")?;
    let unheard_of =
        ready.status != "True" && !containers.is_empty() && containers.iter().all(|of| of.ready && at_work(of));
    unheard_of.then(|| node(pod))
}

/// A time of the cluster's.
#[must_use]
pub fn time(of: Option<&Time>) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(of?.0.as_second(), 0)
}

#[cfg(test)]
#[path = "ending_tests.rs"]
mod tests;
