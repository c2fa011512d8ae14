//! What an attempt may ask of the model API, and why a call was not made.

use serde::{Deserialize, Serialize};

use super::Limits;
use crate::text_enum::text_enum;

/// What an attempt may ask of the model API. Fixed when its Job is launched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelPolicy {
    /// The models that its agent may use.
    pub models: Vec<String>,
    /// What may be used up.
    #[serde(default)]
    pub limits: Limits,
    /// Whether what is said is kept, with secrets taken out.
    #[serde(default)]
    pub record_bodies: bool,
    /// Seconds for the agent's whole turn: no wait goes beyond it.
    #[serde(default)]
    pub agent_secs: u64,
}

text_enum! {
    /// Why the model gateway ended a call of its own accord.
    ModelStop {
        /// A budget is spent: the call was not made.
        Budget = "budget",
        /// The agent may not use the model: the call was not made.
        NotAllowed = "not_allowed",
        /// There is a budget of money, and the model has no price: the call was not made.
        Unpriced = "unpriced",
        /// No provider has the model: the call was not made.
        Unserved = "unserved",
        /// The answer ended where the budget had it end.
        OutputCut = "output_cut",
    }
}

/// A call that was stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Why, as a class.
    pub stop: ModelStop,
    /// Why, and what helps, as a sentence for people.
    pub problem: String,
}
