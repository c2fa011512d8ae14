//! A wish that staff have by hand: an event of our own, judged like those of the forge.

use chrono::{DateTime, Utc};

use super::Subject;

/// Somebody on the platform wants an agent to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandWish {
    /// What the agent is to work on.
    pub subject: Subject,
    /// Its title, as far as it is known.
    pub title: String,
    /// The agent's name, as it was written.
    pub agent: String,
    /// What the agent is told beyond the issue.
    pub instructions: String,
    /// What makes the same wish told twice one run.
    pub key: String,
    /// When.
    pub at: DateTime<Utc>,
}
