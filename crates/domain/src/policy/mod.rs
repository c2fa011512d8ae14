//! What a result may be and what it is worth: limits, protected paths, branch names, the outcome.

pub mod branch;
pub mod change;
pub mod outcome;
