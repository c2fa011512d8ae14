//! What makes two versions of an agent different.

use serde::{Deserialize, Serialize};

use super::{Agent, AgentLimits, BuiltIn, prompt};

/// Everything of an agent that its work depends on, in a form that is kept and compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// The built-in agent that it is or is made from.
    pub base: BuiltIn,
    /// Name and version of the built-in template, such as `dev.v1`.
    pub template: String,
    /// What stays the same in every prompt of it: the template, and the project's own words.
    pub prompt: String,
    /// Name of the model.
    pub model: String,
    /// Every model that it may use.
    pub models: Vec<String>,
    /// Bounds of one run.
    pub limits: AgentLimits,
    /// Protected paths that it may change nevertheless.
    pub protected_paths_allow: Vec<String>,
}

impl Agent {
    /// What the agent is, to be kept and compared.
    #[must_use]
    pub fn definition(&self) -> Definition {
        Definition {
            base: self.base,
            template: format!("{}.v{}", self.base, self.base.template_version()),
            prompt: prompt::template(self),
            model: self.model.clone(),
            models: self.models.clone(),
            limits: self.limits,
            protected_paths_allow: self.protected_paths_allow.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services_yaml::AgentName;

    #[test]
    fn the_projects_words_and_bounds_make_another_version_and_the_name_does_not() {
        let dev = Agent::built_in(BuiltIn::Dev);
        let plain = dev.definition();
        assert_eq!((plain.template.as_str(), plain.prompt.as_str()), ("dev.v1", BuiltIn::Dev.template()));
        let renamed = Agent { name: "fixer".parse::<AgentName>().unwrap(), ..dev.clone() };
        assert_eq!(renamed.definition(), plain);
        let told = Agent { prompt_addition: " Use tabs.\n".into(), ..dev.clone() }.definition();
        assert!(told.prompt.starts_with(&plain.prompt) && told.prompt.ends_with("instructions\n\nUse tabs.\n"));
        let longer = Agent { limits: AgentLimits { minutes: 90, ..dev.limits }, ..dev }.definition();
        assert_ne!(longer, plain);
        let kept = serde_json::to_value(&longer).unwrap();
        assert_eq!(serde_json::from_value::<Definition>(kept).unwrap(), longer);
    }
}
