//! What is kept of objects while a Job is waited for: no more than is read when its end is judged. Hundreds wait at once, and a whole
//! description of a Job and of its pod is 60 kB of memory.

use k8s_openapi::api::{
    batch::v1::{Job, JobSpec},
    core::v1::{Container, Pod, PodSpec, PodTemplateSpec, ResourceRequirements},
};

/// An object that can be cut down to what is read of it.
pub(super) trait Lighter {
    /// Without what nobody reads.
    fn lighter(self) -> Self;
}

impl Lighter for Job {
    fn lighter(mut self) -> Self {
        self.metadata.managed_fields = None;
        self.metadata.annotations = None;
        self.spec = self.spec.map(|spec| JobSpec {
            active_deadline_seconds: spec.active_deadline_seconds,
            template: PodTemplateSpec {
                spec: spec.template.spec.as_ref().map(described),
                ..PodTemplateSpec::default()
            },
            ..JobSpec::default()
        });
        self
    }
}

impl Lighter for Pod {
    fn lighter(mut self) -> Self {
        self.metadata.managed_fields = None;
        self.metadata.annotations = None;
        self.spec = self.spec.as_ref().map(|spec| PodSpec {
            node_name: spec.node_name.clone(),
            init_containers: spec.init_containers.as_ref().map(|all| all.iter().map(container).collect()),
            containers: spec.containers.iter().map(container).collect(),
            ..described(spec)
        });
        self
    }
}

fn described(spec: &PodSpec) -> PodSpec {
    PodSpec { active_deadline_seconds: spec.active_deadline_seconds, ..PodSpec::default() }
}

fn container(of: &Container) -> Container {
    let limits = of.resources.as_ref().and_then(|resources| resources.limits.clone());
    Container {
        name: of.name.clone(),
        image: of.image.clone(),
        resources: limits
            .map(|limits| ResourceRequirements { limits: Some(limits), ..ResourceRequirements::default() }),
        ..Container::default()
    }
}
