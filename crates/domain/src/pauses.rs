//! Pauses: what would start is written down and not started.

use chrono::{DateTime, Utc};

use crate::{sentences, services_yaml::AgentName};

/// A pause that holds for a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Whether it holds for all projects.
    pub everywhere: bool,
    /// Only for the agent of this name; none: for all.
    pub agent: Option<String>,
    /// Who paused it.
    pub by: String,
    /// Why, in their words.
    pub reason: String,
    /// Since when.
    pub since: DateTime<Utc>,
}

impl Pause {
    /// Whether it holds back runs of this agent.
    #[must_use]
    pub fn holds(&self, agent: &AgentName) -> bool {
        self.agent.as_deref().is_none_or(|paused| paused == agent.as_str())
    }

    /// What is paused, by whom and why, as a sentence without its end.
    #[must_use]
    pub fn sentence(&self) -> String {
        let (by, since, reason) = (&self.by, self.since.format("%Y-%m-%d %H:%M UTC"), &self.reason);
        match (&self.agent, self.everywhere) {
            (Some(agent), _) => sentences::agent_paused(agent, by, since, reason),
            (None, true) => sentences::platform_paused(by, since, reason),
            (None, false) => sentences::project_paused(by, since, reason),
        }
    }
}

/// The pause that holds back runs of this agent, if one does.
#[must_use]
pub fn holding<'a>(pauses: &'a [Pause], agent: &AgentName) -> Option<&'a Pause> {
    pauses.iter().find(|pause| pause.holds(agent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_of_an_agent_leaves_the_others_alone() {
        let since = DateTime::UNIX_EPOCH;
        let pause = |agent: Option<&str>| Pause {
            everywhere: false,
            agent: agent.map(str::to_owned),
            by: "ada".into(),
            reason: "too dear".into(),
            since,
        };
        let (dev, reviewer): (AgentName, AgentName) = ("dev".parse().unwrap(), "reviewer".parse().unwrap());
        let of_dev = [pause(Some("dev"))];
        assert!(holding(&of_dev, &dev).is_some() && holding(&of_dev, &reviewer).is_none());
        assert!(holding(&[pause(None)], &reviewer).is_some());
        assert_eq!(of_dev[0].sentence(), "agent `dev` is paused by ada since 1970-01-01 00:00 UTC: too dear");
    }
}
