//! Agents: what the settings of a project's repositories make of them, and what they were before.

pub(super) mod list;
pub(super) mod versions;

use chrono::{DateTime, Utc};
use domain::agents::{AgentRole, BuiltIn, Definition};
use serde::Serialize;
use store::agent_versions::AgentVersion;
use utoipa::ToSchema;

/// What an agent is in one of its versions.
#[derive(Serialize, ToSchema)]
struct Version {
    /// Its number, from 1.
    version: u32,
    /// Since when it is known.
    since: DateTime<Utc>,
    /// The commit whose settings made it; none: a new version of the platform, or not known.
    sha: Option<String>,
    /// The built-in agent that it is or is made from.
    base: BuiltIn,
    /// What its work ends in.
    role: AgentRole,
    /// Name and version of the built-in template.
    #[schema(example = "dev.v1")]
    template: String,
    /// Name of the model.
    model: String,
    /// Every model that it may use.
    models: Vec<String>,
    /// Minutes for the agent's turn.
    minutes: u32,
    /// Megabytes of output that are kept.
    log_mb: u32,
    /// Protected paths that it may change nevertheless.
    protected_paths_allow: Vec<String>,
}

impl From<AgentVersion> for Version {
    fn from(row: AgentVersion) -> Self {
        let Definition { base, template, model, models, limits, protected_paths_allow, prompt: _ } = row.definition;
        Self {
            version: row.version,
            since: row.at,
            sha: row.sha,
            base,
            role: base.role(),
            template,
            model,
            models,
            minutes: limits.minutes,
            log_mb: limits.log_mb,
            protected_paths_allow,
        }
    }
}
