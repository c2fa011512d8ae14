//! What the Kubernetes launcher is told at its start.

use std::{str::FromStr, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use domain::{ids::Instance, services_yaml::Quantity};
use url::Url;

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// How the namespaces of projects' Jobs begin unless told otherwise.
pub const NAMESPACE_PREFIX: &str = "codexk8s-run-";

/// What must not be reached from a Job unless told otherwise: the Kubernetes API.
pub const CANARY: &str = "kubernetes.default.svc:443";

/// Settings of the Kubernetes launcher.
#[derive(Clone)]
pub struct KubernetesSettings {
    /// This installation.
    pub instance: Instance,
    /// The image that brings runner, Codex and git; agents of projects without an image of their own run in it, too.
    pub runner_image: String,
    /// How the namespaces of projects' Jobs begin.
    pub namespace_prefix: String,
    /// Whose rights the launcher has; none: those of an administrator, which need no binding.
    pub rights: Option<OwnRights>,
    /// How Jobs reach what they may.
    pub network: Network,
    /// Where everything else goes out; none: nothing else is reached.
    pub egress_proxy: Option<Url>,
    /// `host:port` that a Job must not reach before it begins.
    pub canary: String,
    /// Whether pods have user namespaces.
    pub user_namespaces: UserNamespaces,
    /// What a Job gets that asks for nothing.
    pub defaults: Defaults,
    /// Bounds of all Jobs of a project together.
    pub quota: Quota,
    /// How long what may pass is waited for.
    pub patience: Patience,
    /// Where the time comes from.
    pub clock: Clock,
}

/// The launcher's account, and the role that it binds to that account in the namespaces that it makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnRights {
    /// The namespace of the account.
    pub namespace: String,
    /// The account.
    pub account: String,
    /// What it may do in a namespace of Jobs.
    pub role: String,
}

/// How Jobs reach gateway, model gateway and egress proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// They are pods: found by the names of their namespaces and their labels.
    Pods {
        /// Where gateway and model gateway are.
        system: String,
        /// Where the egress proxy is.
        egress: String,
    },
    /// They are outside of the cluster, at this address (as a block, such as `10.0.0.1/32`).
    Block(String),
}

impl Default for Network {
    fn default() -> Self {
        Self::Pods { system: "codexk8s-system".to_owned(), egress: "codexk8s-egress".to_owned() }
    }
}

/// Whether pods have user namespaces of their own, so that root inside would be nobody outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserNamespaces {
    /// Always; where the node can't, no Job starts.
    On,
    /// Never.
    Off,
    /// If a pod that was started with one has one, judged inside by its `/proc/self/uid_map`.
    #[default]
    Auto,
}

impl FromStr for UserNamespaces {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            "auto" => Ok(Self::Auto),
            other => Err(format!("`{other}` is none of `on`, `off` and `auto`")),
        }
    }
}

/// What a Job gets that asks for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// Most processor time.
    pub cpu: Quantity,
    /// Memory.
    pub memory: Quantity,
    /// Room on the node's disk.
    pub ephemeral_storage: Quantity,
}

/// Bounds of all Jobs of a project together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Pods that have not ended.
    pub pods: u32,
    /// Processor time.
    pub cpu: Quantity,
    /// Memory.
    pub memory: Quantity,
    /// Room on the nodes' disks.
    pub ephemeral_storage: Quantity,
}

/// How long what may pass is waited for before a Job counts as ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// A pod whose image can't be pulled.
    pub image: Duration,
    /// A pod that no node takes, or that the quota has no room for.
    pub room: Duration,
    /// A pod that is on a node and does not start.
    pub start: Duration,
    /// A cluster that does not answer.
    pub cluster: Duration,
    /// A launch in which the API server is away or busy; beyond it the workflow looks what became of it.
    pub launch: Duration,
    /// Between two looks at a Job of which the watch tells nothing: it may be deaf.
    pub look: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            image: Duration::from_secs(60),
            room: Duration::from_secs(10 * 60),
            start: Duration::from_secs(3 * 60),
            cluster: Duration::from_secs(10 * 60),
            launch: Duration::from_secs(40),
            look: Duration::from_secs(60),
        }
    }
}
