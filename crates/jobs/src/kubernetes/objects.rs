//! A Job and its Secret as Kubernetes objects.

use k8s_openapi::{
    ByteString,
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{PodSpec, PodTemplateSpec, Secret},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};

use super::{
    names::{self, PROJECT},
    pod,
    settings::KubernetesSettings,
};
use crate::{JobOrder, JobRef};

/// The key of the launch token in the Secret.
const TOKEN: &str = "token";

/// Seconds after which a Job that looks for user namespaces is ended whatever it does.
const PROBE_SECS: i64 = 60;

/// The Job: one pod, never a second one by itself. Retrying belongs to the workflow.
#[must_use]
pub fn job(order: &JobOrder, settings: &KubernetesSettings, own_users: bool) -> Job {
    // The pod has the deadline that counts, from its start on a node; this one also bounds the waiting before.
    let deadline = pod::seconds(order.deadline.saturating_add(settings.patience.room));
    let pod = pod::spec(order, settings, own_users);
    Job {
        metadata: meta(&order.job, settings),
        spec: Some(JobSpec { active_deadline_seconds: Some(deadline), ..once(&order.job, settings, pod) }),
        status: None,
    }
}

/// The Secret that the pod waits for. It dies with its Job.
#[must_use]
pub fn secret(order: &JobOrder, settings: &KubernetesSettings, owner: &Job) -> Secret {
    let owner = OwnerReference {
        api_version: "batch/v1".to_owned(),
        kind: "Job".to_owned(),
        name: order.job.name(),
        uid: owner.metadata.uid.clone().unwrap_or_default(),
        ..OwnerReference::default()
    };
    Secret {
        metadata: ObjectMeta { owner_references: Some(vec![owner]), ..meta(&order.job, settings) },
        data: Some([(TOKEN.to_owned(), ByteString(order.token.expose().as_bytes().to_vec()))].into()),
        immutable: Some(true),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    }
}

/// A Job that looks whether its pod has a user namespace of its own, and says so in its last message.
#[must_use]
pub fn probe(job: &JobRef, settings: &KubernetesSettings) -> Job {
    Job {
        metadata: meta(job, settings),
        spec: Some(JobSpec { active_deadline_seconds: Some(PROBE_SECS), ..once(job, settings, pod::probe(settings)) }),
        status: None,
    }
}

/// One pod, never a second one by itself.
fn once(job: &JobRef, settings: &KubernetesSettings, pod: PodSpec) -> JobSpec {
    let labels = names::job_labels(&settings.instance, job);
    JobSpec {
        backoff_limit: Some(0),
        completions: Some(1),
        parallelism: Some(1),
        pod_replacement_policy: Some("Failed".to_owned()),
        template: PodTemplateSpec {
            metadata: Some(ObjectMeta { labels: Some(labels), ..annotated(job) }),
            spec: Some(pod),
        },
        ..JobSpec::default()
    }
}

fn meta(job: &JobRef, settings: &KubernetesSettings) -> ObjectMeta {
    ObjectMeta {
        name: Some(job.name()),
        namespace: Some(names::namespace(&settings.namespace_prefix, &job.project)),
        labels: Some(names::job_labels(&settings.instance, job)),
        ..annotated(job)
    }
}

fn annotated(job: &JobRef) -> ObjectMeta {
    let project = job.project.as_str().to_owned();
    ObjectMeta { annotations: Some([(PROJECT.to_owned(), project)].into()), ..ObjectMeta::default() }
}
