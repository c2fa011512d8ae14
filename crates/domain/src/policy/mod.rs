//! What a result may be and what it is worth: limits, protected paths, branch names, the outcome.

mod again;
mod branch;
mod change;
mod outcome;

pub use self::{
    again::goes_on_by_itself,
    branch::{PREFIX as BRANCH_PREFIX, name as branch_name, slug},
    change::{Change, Globs, InvalidGlob, Violation, glob, violations},
    outcome::{Judgement, judge, judge_stopped},
};
