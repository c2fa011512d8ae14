//! The typed model of `services.yaml`. Every comment here is also the help text in the published schema.

use std::{borrow::Cow, collections::BTreeMap, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{BudgetConfig, HumanDuration, RuntimeConfig, schema::HOST_FORMAT};
use crate::{agents::BuiltIn, egress::HostPattern};

/// Settings of a project for codex-k8s, read from `services.yaml` at the root of the default branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "services.yaml of codex-k8s")]
#[serde(deny_unknown_fields)]
pub struct ServicesYaml {
    /// Version of this file's form.
    pub version: Version,
    /// Agents by name: built-in ones with other settings, or own ones that extend a built-in one.
    #[serde(default)]
    pub agents: BTreeMap<AgentName, AgentConfig>,
    /// What starts an agent.
    #[serde(default)]
    pub triggers: TriggersConfig,
    /// What the agents' Jobs run in: image, processor time, memory, nodes.
    #[serde(default)]
    pub runtime: RuntimeConfig,
    /// Where the programs of a Job may go.
    #[serde(default)]
    pub egress: EgressConfig,
    /// Commands that get the work tree ready before the agent starts, for instance `npm ci`, run in this order.
    #[serde(default)]
    pub setup: Vec<CheckConfig>,
    /// What set-up leaves behind and later runs need not make again; absent: set-up runs every time.
    #[serde(default)]
    pub cache: Option<CacheConfig>,
    /// Commands that must succeed on a change before it counts as good, run in this order.
    #[serde(default)]
    pub checks: Vec<CheckConfig>,
    /// Globs of documents in the repository that go into the prompt, for instance `docs/*.md`.
    #[serde(default)]
    pub documents: Vec<String>,
    /// The parts of the project that are built and deployed, by name.
    #[serde(default)]
    pub services: BTreeMap<String, ServiceConfig>,
    /// Where the project is deployed to, by name.
    #[serde(default)]
    pub environments: BTreeMap<String, EnvironmentConfig>,
    /// Agents that start at fixed times, each on an issue of its own that is opened for it.
    #[serde(default)]
    pub schedules: Vec<ScheduleConfig>,
    /// How many runs of this project may work at the same time; absent: the platform's setting.
    #[serde(default)]
    #[schemars(range(min = 1, max = 50))]
    pub slots: Option<u32>,
    /// Whether people are taught why a change is as it is.
    #[serde(default)]
    pub learning: Learning,
    /// Bounds of what a run may change, and how often runs may start.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// What the agents' model calls may use up; what is absent is the platform's setting.
    #[serde(default)]
    pub budget: BudgetConfig,
    /// Whether what agents and model say to each other is kept with the run, with secrets taken out, for as long as its log.
    #[serde(default)]
    pub record_model_bodies: bool,
}

impl Default for ServicesYaml {
    fn default() -> Self {
        Self {
            version: Version,
            agents: BTreeMap::new(),
            triggers: TriggersConfig::default(),
            runtime: RuntimeConfig::default(),
            egress: EgressConfig::default(),
            setup: Vec::new(),
            cache: None,
            checks: Vec::new(),
            documents: Vec::new(),
            services: BTreeMap::new(),
            environments: BTreeMap::new(),
            schedules: Vec::new(),
            slots: None,
            learning: Learning::Off,
            limits: LimitsConfig::default(),
            budget: BudgetConfig::default(),
            record_model_bodies: false,
        }
    }
}

/// The one version there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Version;

impl TryFrom<u64> for Version {
    type Error = String;

    fn try_from(version: u64) -> Result<Self, Self::Error> {
        if version == 1 {
            Ok(Self)
        } else {
            Err(format!("version {version} is not known; this platform reads version 1"))
        }
    }
}

impl From<Version> for u64 {
    fn from(_: Version) -> Self {
        1
    }
}

impl JsonSchema for Version {
    fn schema_name() -> Cow<'static, str> {
        "Version".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "enum": [1] })
    }
}

/// Name of an agent: a letter, then letters, digits and dashes, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AgentName(String);

/// The text is no agent's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an agent's name: a letter, then at most 39 letters, digits and dashes, all in lower case")]
pub struct InvalidAgentName(pub String);

impl AgentName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AgentName {
    type Err = InvalidAgentName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for AgentName {
    type Error = InvalidAgentName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = text.len() <= 40
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits { Ok(Self(text)) } else { Err(InvalidAgentName(text)) }
    }
}

impl From<AgentName> for String {
    fn from(name: AgentName) -> Self {
        name.0
    }
}

impl From<BuiltIn> for AgentName {
    fn from(agent: BuiltIn) -> Self {
        Self(agent.as_str().to_owned())
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for AgentName {
    fn schema_name() -> Cow<'static, str> {
        "AgentName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[a-z][a-z0-9-]{0,39}$" })
    }
}

/// Settings of one agent. What is absent is taken from the built-in agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AgentConfig {
    /// The built-in agent that this one is made from; needed unless the name is that of a built-in one.
    pub extends: Option<BuiltIn>,
    /// Name of the model as the model API knows it.
    #[schemars(length(min = 1, max = 100))]
    pub model: Option<String>,
    /// Further models that it may use, for embeddings for instance; its own it always may.
    #[schemars(length(max = 20))]
    pub models: Vec<String>,
    /// Bounds of one run.
    pub limits: AgentLimitsConfig,
    /// What its Jobs run in.
    pub runtime: RuntimeConfig,
    /// Added to the prompt after the built-in instructions.
    #[schemars(length(max = 20000))]
    pub prompt: Option<String>,
    /// Globs of protected paths that this agent may change nevertheless.
    pub protected_paths_allow: Vec<String>,
}

/// Bounds of one run of an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AgentLimitsConfig {
    /// Minutes for the agent's turn.
    #[schemars(range(min = 1, max = 720))]
    pub minutes: Option<u32>,
    /// Megabytes of output that are kept.
    #[schemars(range(min = 1, max = 200))]
    pub log_mb: Option<u32>,
}

/// What starts an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TriggersConfig {
    /// Labels on an issue, each with its agent; absent: `run:<agent>` for every agent.
    pub labels: Option<BTreeMap<String, AgentName>>,
    /// Labels on a pull request, each with its agent; absent: `need:reviewer` for `reviewer`.
    pub pull_request_labels: Option<BTreeMap<String, AgentName>>,
    /// Whether `/run`, `/retry` and `/cancel` in comments are obeyed.
    pub commands: bool,
    /// Whether a review that requests changes on a pull request of an agent has the agent go on with it.
    pub revise_after_review: bool,
    /// Whether a failing check on the head of such a pull request does.
    pub revise_after_failed_checks: bool,
}

impl Default for TriggersConfig {
    fn default() -> Self {
        Self {
            labels: None,
            pull_request_labels: None,
            commands: true,
            revise_after_review: true,
            revise_after_failed_checks: true,
        }
    }
}

/// One command that must exit 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckConfig {
    /// For people; unique in this file.
    #[schemars(length(min = 1, max = 60))]
    pub name: String,
    /// Run with `sh -c` in the root of the work tree.
    #[schemars(length(min = 1, max = 10000))]
    pub run: String,
    /// How long it may take; 10 minutes if absent.
    #[serde(default = "default_check_timeout")]
    pub timeout: HumanDuration,
}

/// What set-up leaves behind, kept for later runs of the same repository. A kept one is used as long as the key files and
/// the set-up commands are the same, and then the commands are not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheConfig {
    /// Files in the repository whose content decides whether a kept one still fits: the lock files, for instance
    /// `package-lock.json`.
    #[schemars(length(min = 1, max = 20))]
    pub key_files: Vec<String>,
    /// Folders and files to keep: in the repository, such as `node_modules`, or in the home folder, such as `~/.npm`.
    #[schemars(length(min = 1, max = 20))]
    pub paths: Vec<String>,
}

const fn default_check_timeout() -> HumanDuration {
    HumanDuration::minutes(10)
}

/// A part of the project that is built and deployed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceConfig {
    /// A ready image; either this or `build`.
    #[schemars(length(min = 1, max = 255))]
    pub image: Option<String>,
    /// How its image is built.
    pub build: Option<BuildConfig>,
    /// Paths of the Kubernetes manifests, relative to the root of the repository.
    pub deploy: Vec<String>,
}

/// How an image is built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BuildConfig {
    /// Folder that is sent to the builder, relative to the root of the repository.
    pub context: String,
    /// The Dockerfile, relative to the context; `Dockerfile` if absent.
    #[serde(default = "default_dockerfile")]
    pub dockerfile: String,
}

fn default_dockerfile() -> String {
    "Dockerfile".to_owned()
}

/// Where the project is deployed to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EnvironmentConfig {
    /// Where people find it.
    #[schemars(length(min = 1, max = 2000))]
    pub url: Option<String>,
    /// Whether a person must approve each deployment.
    pub approval: bool,
}

/// Where the programs of a Job may go: the set-up, the agent's commands and the checks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EgressConfig {
    /// Hosts beside those of the platform's own list (package registries, as a rule): `example.com` for itself alone, `*.example.com`
    /// for every name below it. What counts is the file on the default branch.
    #[schemars(schema_with = "hosts")]
    pub allow: Vec<HostPattern>,
}

fn hosts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 200,
        "items": { "type": "string", "format": HOST_FORMAT, "pattern": "^([*][.])?[A-Za-z0-9_-]+([.][A-Za-z0-9_-]+)*[.]?$" },
    })
}

/// An agent that starts at fixed times. A start that meets a run still at work is skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleConfig {
    /// Unique in this file: lower-case letters, digits and dashes. Another name is another schedule, with an issue of its own.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
    /// When, as five fields of cron: minute, hour, day of the month, month, day of the week.
    #[schemars(length(min = 1, max = 200))]
    pub cron: String,
    /// The time zone of `cron` by its IANA name, for instance `Europe/Berlin`; UTC if absent.
    #[serde(default = "default_zone")]
    #[schemars(length(min = 1, max = 60))]
    pub zone: String,
    /// The agent.
    pub agent: AgentName,
    /// Title of the issue that is opened for it.
    #[schemars(length(min = 1, max = 200))]
    pub title: String,
    /// What the agent is to do; also the text of the issue.
    #[serde(default)]
    #[schemars(length(max = 20000))]
    pub instructions: String,
}

fn default_zone() -> String {
    "UTC".to_owned()
}

/// How much people are taught.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Learning {
    /// Not at all.
    #[default]
    Off,
    /// One summary a pull request.
    Summary,
    /// A summary and notes on lines.
    Full,
}

/// Bounds of what a run may change, and how often runs may start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Most files that a run may change.
    #[schemars(range(min = 1, max = 10000))]
    pub max_files: u32,
    /// Most bytes of a run's diff.
    #[schemars(range(min = 1, max = 50_000_000))]
    pub max_diff_bytes: u64,
    /// Globs of paths that no run may change, unless its agent is allowed to.
    pub protected_paths: Vec<String>,
    /// Most runs that may start about one issue or pull request within an hour.
    #[schemars(range(min = 1, max = 1000))]
    pub runs_per_hour: u32,
    /// Most runs in a row that bots or failing checks may cause, with no person in between.
    #[schemars(range(min = 1, max = 20))]
    pub chain_depth: u32,
    /// How often an agent may go on with one pull request after reviews and failing checks.
    #[schemars(range(min = 0, max = 100))]
    pub revisions_per_pull_request: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            max_files: 100,
            max_diff_bytes: 1_000_000,
            protected_paths: vec![".github/workflows/**".to_owned()],
            runs_per_hour: 6,
            chain_depth: 3,
            revisions_per_pull_request: 5,
        }
    }
}
