//! Moments of schedules: events of our own, judged like those of the forge.

use super::Issue;
use crate::services_yaml::AgentName;

/// The time of a schedule of the project's settings has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledMoment {
    /// Name of the schedule.
    pub schedule: String,
    /// The agent that it starts.
    pub agent: AgentName,
    /// What the agent is to do.
    pub instructions: String,
    /// The schedule's own issue. Its time is the moment's.
    pub issue: Issue,
}
