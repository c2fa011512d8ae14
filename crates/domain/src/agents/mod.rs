//! The agents: built-in ones, and those that a project makes from them.

mod definition;
pub mod outsider;
mod pieces;
mod prompt;
mod resumed;
mod revision;

use schemars::JsonSchema;

pub use self::{
    definition::Definition,
    pieces::{PromptPiece, Trust, prompt_pieces},
    prompt::{PromptComment, PromptDocument, PromptInputs, render_prompt},
    resumed::{resumed_prompt, taken_over_prompt},
    revision::{Answers, CheckOutput, PromptCheck, PromptLineComment, PromptReview, Revision, read_answers},
};

use crate::{
    services_yaml::{AgentName, ServicesYaml},
    text_enum::text_enum,
};

text_enum! {
    /// The agents that every project has.
    BuiltIn {
        /// Changes code.
        Dev = "dev",
        /// Reviews a pull request.
        Reviewer = "reviewer",
        /// Answers an issue with a plan.
        Planner = "planner",
        /// Changes documents.
        Docs = "docs",
    }
}

text_enum! {
    /// What an agent's work ends in.
    AgentRole {
        /// A pull request.
        Changes = "changes",
        /// A review.
        Review = "review",
        /// A comment.
        Answer = "answer",
    }
}

/// Bounds of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, JsonSchema)]
pub struct AgentLimits {
    /// Minutes for the agent's turn.
    pub minutes: u32,
    /// Megabytes of output that are kept.
    pub log_mb: u32,
}

/// An agent with all its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its name in the project.
    pub name: AgentName,
    /// The built-in agent that it is or is made from.
    pub base: BuiltIn,
    /// Name of the model.
    pub model: String,
    /// Every model that it may use: its own and further ones.
    pub models: Vec<String>,
    /// Bounds of one run.
    pub limits: AgentLimits,
    /// The project's addition to the prompt; may be empty.
    pub prompt_addition: String,
    /// Protected paths that it may change nevertheless.
    pub protected_paths_allow: Vec<String>,
}

/// The model that agents use unless told otherwise.
pub const DEFAULT_MODEL: &str = "gpt-5-codex";

impl BuiltIn {
    /// What its work ends in.
    #[must_use]
    pub const fn role(self) -> AgentRole {
        match self {
            Self::Dev | Self::Docs => AgentRole::Changes,
            Self::Reviewer => AgentRole::Review,
            Self::Planner => AgentRole::Answer,
        }
    }

    /// Its bounds unless the project sets others.
    #[must_use]
    pub const fn limits(self) -> AgentLimits {
        match self {
            Self::Dev => AgentLimits { minutes: 60, log_mb: 20 },
            Self::Docs => AgentLimits { minutes: 30, log_mb: 10 },
            Self::Reviewer | Self::Planner => AgentLimits { minutes: 20, log_mb: 10 },
        }
    }
}

impl Agent {
    /// The built-in agent as it is.
    #[must_use]
    pub fn built_in(base: BuiltIn) -> Self {
        Self {
            name: base.into(),
            base,
            model: DEFAULT_MODEL.to_owned(),
            models: vec![DEFAULT_MODEL.to_owned()],
            limits: base.limits(),
            prompt_addition: String::new(),
            protected_paths_allow: Vec::new(),
        }
    }

    /// What its work ends in.
    #[must_use]
    pub const fn role(&self) -> AgentRole {
        self.base.role()
    }
}

/// The agent of a name in a project; none if there is none.
#[must_use]
pub fn find(config: &ServicesYaml, name: &str) -> Option<Agent> {
    let name: AgentName = name.parse().ok()?;
    let own = config.agents.get(&name);
    let by_name = name.as_str().parse().ok();
    let base = own.and_then(|own| own.extends).or(by_name)?;
    let mut agent = Agent { name, ..Agent::built_in(base) };
    if let Some(own) = own {
        agent.model = own.model.clone().unwrap_or(agent.model);
        agent.models = [&agent.model].into_iter().chain(&own.models).cloned().collect();
        agent.limits.minutes = own.limits.minutes.unwrap_or(agent.limits.minutes);
        agent.limits.log_mb = own.limits.log_mb.unwrap_or(agent.limits.log_mb);
        agent.prompt_addition = own.prompt.clone().unwrap_or_default();
        agent.protected_paths_allow.clone_from(&own.protected_paths_allow);
    }
    Some(agent)
}

/// Names of all agents of a project, in order.
#[must_use]
pub fn names(config: &ServicesYaml) -> Vec<AgentName> {
    let mut names: Vec<AgentName> = BuiltIn::ALL.iter().map(|&agent| agent.into()).collect();
    names.extend(config.agents.keys().cloned());
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services_yaml::{AgentConfig, AgentLimitsConfig};

    #[test]
    fn a_project_changes_and_adds_agents() {
        let fast = AgentConfig {
            extends: Some(BuiltIn::Planner),
            model: Some("small".into()),
            models: vec!["embed".into()],
            limits: AgentLimitsConfig { minutes: Some(5), log_mb: None },
            ..AgentConfig::default()
        };
        let dev = AgentConfig { prompt: Some("Use tabs.".into()), ..AgentConfig::default() };
        let agents = [("fast".parse().unwrap(), fast), ("dev".parse().unwrap(), dev)].into();
        let config = ServicesYaml { agents, ..ServicesYaml::default() };

        let fast = find(&config, "fast").unwrap();
        assert_eq!((fast.base, fast.role(), fast.model.as_str()), (BuiltIn::Planner, AgentRole::Answer, "small"));
        assert_eq!(fast.models, ["small", "embed"]);
        assert_eq!(fast.limits, AgentLimits { minutes: 5, log_mb: 10 });
        let dev = find(&config, "dev").unwrap();
        assert_eq!((dev.model.as_str(), dev.prompt_addition.as_str()), (DEFAULT_MODEL, "Use tabs."));
        assert_eq!(dev.models, [DEFAULT_MODEL]);
        assert_eq!(find(&config, "reviewer").map(|agent| agent.role()), Some(AgentRole::Review));
        for nobody in ["nobody", "", "Dev", "dev ", "../dev"] {
            assert_eq!(find(&config, nobody), None, "{nobody}");
        }
        let names: Vec<String> = names(&config).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["dev", "docs", "fast", "planner", "reviewer"]);
    }
}
