//! The pod of a Job: what of the project's own image may be assumed is `/bin/sh`, everything else is brought along; and what
//! runs in it can do as little as possible.

use std::collections::BTreeMap;

use domain::services_yaml::{Quantity, Toleration};
use k8s_openapi::{
    api::core::v1::{
        Capabilities, Container, EmptyDirVolumeSource, EnvVar, EnvVarSource, ObjectFieldSelector, PodSecurityContext,
        PodSpec, ResourceRequirements, SeccompProfile, SecretVolumeSource, SecurityContext,
        Toleration as PodToleration, Volume, VolumeMount,
    },
    apimachinery::pkg::api::resource::Quantity as Amount,
};

use super::{
    names::SERVICE_ACCOUNT,
    settings::{Defaults, KubernetesSettings},
};
use crate::JobOrder;

/// The container in which agent, set-up and checks run.
pub const AGENT_CONTAINER: &str = "agent";
/// The step that brings the runner.
pub const TOOLS_STEP: &str = "tools";
/// The step that waits for the network's rules.
pub const NETWORK_STEP: &str = "network";

/// The user and group of everything in the pod.
const USER: i64 = 10_001;

/// Where the runner's own files are in the runner image, and where they are put.
const BUNDLE: &str = "/opt/codex-k8s/bin/runner";
const TOOLS: &str = "/codex-k8s";

/// Room for the runner's own files, beside what the project asks for.
const TOOLS_ROOM: u128 = 1 << 30;

/// What a step before the agent asks of the processor, in thousandths.
const STEP_CPU: u128 = 50;

/// Seconds from the asking to the ending: less than the 15 s within which nothing may live after a cancel.
pub const GRACE_SECS: i64 = 10;

/// The pod's description. It holds no secret.
#[must_use]
pub fn spec(order: &JobOrder, settings: &KubernetesSettings, own_users: bool) -> PodSpec {
    let runtime = &order.runtime;
    let storage = runtime.ephemeral_storage.as_ref().unwrap_or(&settings.defaults.ephemeral_storage);
    PodSpec {
        init_containers: Some(vec![tools(order, settings), network(order, settings)]),
        containers: vec![agent(order, settings)],
        volumes: Some(volumes(&order.job.name(), storage)),
        restart_policy: Some("Never".to_owned()),
        active_deadline_seconds: Some(seconds(order.deadline)),
        termination_grace_period_seconds: Some(GRACE_SECS),
        service_account_name: Some(SERVICE_ACCOUNT.to_owned()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        share_process_namespace: Some(false),
        host_users: own_users.then_some(false),
        node_selector: (!runtime.node_selector.is_empty()).then(|| runtime.node_selector.clone()),
        tolerations: (!runtime.tolerations.is_empty()).then(|| runtime.tolerations.iter().map(toleration).collect()),
        runtime_class_name: runtime.runtime_class.clone(),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            fs_group: Some(USER),
            seccomp_profile: Some(runtime_default()),
            ..PodSecurityContext::default()
        }),
        ..PodSpec::default()
    }
}

fn agent(order: &JobOrder, settings: &KubernetesSettings) -> Container {
    let runtime = &order.runtime;
    let mut env = vec![
        plain("CODEX_K8S_GATEWAY_URL", order.gateway_url.as_str()),
        plain("CODEX_K8S_MODEL_URL", order.model_url.as_str()),
        plain("CODEX_K8S_TOKEN_FILE", "/var/run/codex-k8s/token"),
        plain("CODEX_K8S_WORK_DIR", "/work/job"),
        plain("CODEX_K8S_CODEX", &format!("{TOOLS}/bin/codex")),
        plain("CODEX_K8S_TOOLS", TOOLS),
        pod_uid(),
    ];
    if let Some(proxy) = &settings.egress_proxy {
        env.push(plain("CODEX_K8S_EGRESS_PROXY", proxy.as_str().trim_end_matches('/')));
    }
    Container {
        name: AGENT_CONTAINER.to_owned(),
        image: Some(runtime.image.clone().unwrap_or_else(|| settings.runner_image.clone())),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        command: Some(words(&["/bin/sh", &format!("{TOOLS}/bin/runner")])),
        env: Some(env),
        resources: Some(resources(order, &settings.defaults)),
        security_context: Some(hardened()),
        volume_mounts: Some(vec![
            mount("tools", TOOLS, true),
            mount("work", "/work", false),
            mount("tmp", "/tmp", false),
            mount("token", "/var/run/codex-k8s", true),
        ]),
        ..Container::default()
    }
}

fn tools(order: &JobOrder, settings: &KubernetesSettings) -> Container {
    Container {
        name: TOOLS_STEP.to_owned(),
        command: Some(words(&["/bin/sh", BUNDLE, "install", TOOLS])),
        volume_mounts: Some(vec![mount("tools", TOOLS, false)]),
        ..step(settings, set_aside(cpu(order, &settings.defaults)))
    }
}

fn network(order: &JobOrder, settings: &KubernetesSettings) -> Container {
    let env = vec![
        plain("CODEX_K8S_CANARY", &settings.canary),
        plain("CODEX_K8S_GATEWAY_URL", order.gateway_url.as_str()),
        plain("CODEX_K8S_MODEL_URL", order.model_url.as_str()),
    ];
    Container {
        name: NETWORK_STEP.to_owned(),
        command: Some(words(&["/bin/sh", &format!("{TOOLS}/bin/runner"), "await-network"])),
        env: Some(env),
        volume_mounts: Some(vec![mount("tools", TOOLS, true)]),
        ..step(settings, set_aside(cpu(order, &settings.defaults)))
    }
}

/// What the steps before the agent have in common. They ask for no more of the processor than the agent: the scheduler finds room for
/// whichever of them asks for most.
fn step(settings: &KubernetesSettings, agent: u128) -> Container {
    let amounts = |cpu: &str, memory: &str, storage: &str| {
        [("cpu", cpu), ("memory", memory), ("ephemeral-storage", storage)]
            .map(|(name, amount)| (name.to_owned(), Amount(amount.to_owned())))
            .into()
    };
    Container {
        image: Some(settings.runner_image.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        resources: Some(ResourceRequirements {
            requests: Some(amounts(&format!("{}m", agent.min(STEP_CPU)), "64Mi", "64Mi")),
            limits: Some(amounts("1", "256Mi", "1Gi")),
            ..ResourceRequirements::default()
        }),
        security_context: Some(hardened()),
        ..Container::default()
    }
}

fn cpu<'a>(order: &'a JobOrder, defaults: &'a Defaults) -> &'a Quantity {
    order.runtime.cpu.as_ref().unwrap_or(&defaults.cpu)
}

/// What of the processor is set aside for an agent, in thousandths: a quarter, since an agent mostly waits for the model.
fn set_aside(cpu: &Quantity) -> u128 {
    (cpu.milli() / 4).max(10)
}

/// Memory and disk are set aside whole, so that a Job is ended for what it takes and not for what others do.
fn resources(order: &JobOrder, defaults: &Defaults) -> ResourceRequirements {
    let runtime = &order.runtime;
    let cpu = cpu(order, defaults);
    let memory = runtime.memory.as_ref().unwrap_or(&defaults.memory);
    let storage = runtime.ephemeral_storage.as_ref().unwrap_or(&defaults.ephemeral_storage);
    let room = Amount((storage.milli() / 1_000 + TOOLS_ROOM).to_string());
    let set = |cpu: Amount| -> BTreeMap<String, Amount> {
        [("cpu", cpu), ("memory", amount(memory)), ("ephemeral-storage", room.clone())]
            .map(|(name, amount)| (name.to_owned(), amount))
            .into()
    };
    ResourceRequirements {
        requests: Some(set(Amount(format!("{}m", set_aside(cpu))))),
        limits: Some(set(amount(cpu))),
        ..ResourceRequirements::default()
    }
}

fn volumes(secret: &str, storage: &Quantity) -> Vec<Volume> {
    let empty = |name: &str, limit: Amount| Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource { size_limit: Some(limit), ..EmptyDirVolumeSource::default() }),
        ..Volume::default()
    };
    let token = Volume {
        name: "token".to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.to_owned()),
            default_mode: Some(0o400),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    };
    let tools = empty("tools", Amount(TOOLS_ROOM.to_string()));
    vec![tools, empty("work", amount(storage)), empty("tmp", amount(storage)), token]
}

fn hardened() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(words(&["ALL"])), ..Capabilities::default() }),
        privileged: Some(false),
        read_only_root_filesystem: Some(true),
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        seccomp_profile: Some(runtime_default()),
        ..SecurityContext::default()
    }
}

fn runtime_default() -> SeccompProfile {
    SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }
}

/// A pod that tells what its user namespace is, and nothing else.
#[must_use]
pub fn probe(settings: &KubernetesSettings) -> PodSpec {
    let look = "head -n 1 /proc/self/uid_map > /dev/termination-log";
    PodSpec {
        containers: vec![Container {
            name: "look".to_owned(),
            command: Some(words(&["/bin/sh", "-c", look])),
            ..step(settings, STEP_CPU)
        }],
        restart_policy: Some("Never".to_owned()),
        service_account_name: Some(SERVICE_ACCOUNT.to_owned()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        host_users: Some(false),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            seccomp_profile: Some(runtime_default()),
            ..PodSecurityContext::default()
        }),
        ..PodSpec::default()
    }
}

fn toleration(of: &Toleration) -> PodToleration {
    PodToleration {
        key: Some(of.key.clone()),
        operator: Some(if of.value.is_some() { "Equal" } else { "Exists" }.to_owned()),
        value: of.value.clone(),
        effect: of.effect.map(|effect| effect.as_str().to_owned()),
        ..PodToleration::default()
    }
}

fn pod_uid() -> EnvVar {
    let field = ObjectFieldSelector { field_path: "metadata.uid".to_owned(), ..ObjectFieldSelector::default() };
    EnvVar {
        name: "CODEX_K8S_POD_UID".to_owned(),
        value_from: Some(EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() }),
        ..EnvVar::default()
    }
}

fn plain(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.to_owned()), ..EnvVar::default() }
}

fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: Some(read_only),
        ..VolumeMount::default()
    }
}

fn amount(of: &Quantity) -> Amount {
    Amount(of.as_str().to_owned())
}

/// As Kubernetes counts a deadline: at least one.
pub(super) fn seconds(of: std::time::Duration) -> i64 {
    i64::try_from(of.as_secs()).unwrap_or(i64::MAX).max(1)
}

fn words(of: &[&str]) -> Vec<String> {
    of.iter().map(|&word| word.to_owned()).collect()
}
