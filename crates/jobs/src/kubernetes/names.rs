//! Names, labels and selectors of what the platform makes in the cluster.

use std::collections::BTreeMap;

use domain::ids::{Instance, ProjectSlug};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use sha2::{Digest, Sha256};

use crate::JobRef;

/// Who we are to server-side apply.
pub const FIELD_MANAGER: &str = "codex-k8s";

/// Who made it: always [`FIELD_MANAGER`].
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// What it is a part of.
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// The installation.
pub const INSTANCE: &str = "codex-k8s.dev/instance";
/// The project: its name as far as a label can hold it; as an annotation, its whole name.
pub const PROJECT: &str = "codex-k8s.dev/project";
/// The run.
pub const RUN: &str = "codex-k8s.dev/run";
/// The attempt.
pub const ATTEMPT: &str = "codex-k8s.dev/attempt";

/// The component that Jobs of agents are.
pub const AGENT: &str = "agent";

/// The service account of agents' pods: it may do nothing.
pub const SERVICE_ACCOUNT: &str = "agent";

/// Longest name of a namespace and longest value of a label.
const MAX: usize = 63;

/// Hexadecimal digits that tell two projects apart whose names come out the same.
const DIGEST: usize = 8;

/// The namespace of a project's Jobs.
#[must_use]
pub fn namespace(prefix: &str, project: &ProjectSlug) -> String {
    let room = MAX.saturating_sub(prefix.len());
    format!("{prefix}{}", label_of(project, room))
}

/// A project's name as a DNS label of at most `room` characters: itself if it is one, else what is left of it and a digest.
fn label_of(project: &ProjectSlug, room: usize) -> String {
    let slug = project.as_str();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = slug.len() <= room && slug.starts_with(plain) && slug.ends_with(plain);
    if fits && slug.chars().all(|c| plain(c) || c == '-') {
        return slug.to_owned();
    }
    let digest = hex(&Sha256::digest(slug.as_bytes()));
    let mut short: String =
        slug.chars().map(|c| c.to_ascii_lowercase()).map(|c| if plain(c) { c } else { '-' }).collect();
    short.truncate(room.saturating_sub(DIGEST + 1));
    let short = short.trim_matches('-');
    if short.is_empty() { format!("p-{}", &digest[..DIGEST]) } else { format!("{short}-{}", &digest[..DIGEST]) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The labels of everything that belongs to a project.
#[must_use]
pub fn project_labels(instance: &Instance, project: &ProjectSlug) -> BTreeMap<String, String> {
    [
        (MANAGED_BY, FIELD_MANAGER.to_owned()),
        (INSTANCE, instance.as_str().to_owned()),
        (PROJECT, label_of(project, MAX)),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

/// The labels of a Job, its pod and its Secret.
#[must_use]
pub fn job_labels(instance: &Instance, job: &JobRef) -> BTreeMap<String, String> {
    let mut labels = project_labels(instance, &job.project);
    labels.insert(COMPONENT.to_owned(), AGENT.to_owned());
    labels.insert(RUN.to_owned(), job.run.to_string());
    labels.insert(ATTEMPT.to_owned(), job.attempt.to_string());
    labels
}

/// Selects the Jobs of an installation, and their pods.
#[must_use]
pub fn agents_selector(instance: &Instance) -> String {
    format!("{MANAGED_BY}={FIELD_MANAGER},{COMPONENT}={AGENT},{INSTANCE}={instance}")
}

/// Selects the pods of one Job.
#[must_use]
pub fn pods_selector(job: &JobRef) -> String {
    format!("{RUN}={},{ATTEMPT}={}", job.run, job.attempt)
}

/// The Job that an object belongs to, by its labels; none if it is none of ours.
#[must_use]
pub fn job_of(meta: &ObjectMeta) -> Option<JobRef> {
    let label = |key: &str| meta.labels.as_ref()?.get(key);
    let project = meta.annotations.as_ref()?.get(PROJECT)?;
    Some(JobRef {
        project: ProjectSlug::new(project),
        run: label(RUN)?.parse().ok()?,
        attempt: domain::ids::Attempt(label(ATTEMPT)?.parse().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(slug: &str) -> String {
        namespace("codexk8s-run-", &ProjectSlug::new(slug))
    }

    #[test]
    fn a_namespace_is_a_dns_label_and_belongs_to_one_project() {
        assert_eq!(of("acme-greeter"), "codexk8s-run-acme-greeter");
        let odd = ["Acme-Greeter", "acme_greeter", "acme/greeter", "-a", "ä", "", &"x".repeat(80), &"x".repeat(81)];
        let mut seen = std::collections::BTreeSet::new();
        for slug in odd {
            let name = of(slug);
            assert!(name.len() <= 63 && !name.ends_with('-'), "{slug}: {name}");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{name}");
            assert!(seen.insert(name), "{slug}");
        }
        assert!(of("Acme-Greeter").starts_with("codexk8s-run-acme-greeter-"));
    }

    #[test]
    fn a_job_is_known_by_its_labels() {
        let job = JobRef {
            project: ProjectSlug::new("Acme/Greeter"),
            run: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
            attempt: domain::ids::Attempt(2),
        };
        let meta = ObjectMeta {
            labels: Some(job_labels(&"t".parse().unwrap(), &job)),
            annotations: Some([(PROJECT.to_owned(), job.project.as_str().to_owned())].into()),
            ..ObjectMeta::default()
        };
        assert_eq!(job_of(&meta), Some(job));
        assert_eq!(job_of(&ObjectMeta::default()), None);
    }
}
