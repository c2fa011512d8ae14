//! Keeps runs from causing one another without end.
//!
//! A person may always ask again, within the project's hourly limit. What a machine causes (a bot, a failing check) counts up
//! from the run that it answers; the count begins anew with the next person.

use super::{Facts, Trigger};
use crate::{
    event::{Sender, Subject},
    sentences,
};

/// What caused a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Person,
    Machine,
}

impl Cause {
    pub(super) const fn of(trigger: &Trigger, by: &Sender) -> Self {
        match trigger {
            // Its sender is the platform, and who wrote the settings is a person.
            Trigger::Schedule { .. } => Self::Person,
            Trigger::Checks { .. } => Self::Machine,
            _ if by.is_bot => Self::Machine,
            _ => Self::Person,
        }
    }
}

/// How many runs in a row, the one asked for included, machines have caused.
pub(super) fn depth(cause: Cause, facts: &Facts) -> u32 {
    match cause {
        Cause::Person => 0,
        Cause::Machine => facts.parent.as_ref().map_or(0, |parent| parent.machine_depth).saturating_add(1),
    }
}

/// Why a wish for a run is not followed now.
pub(super) fn holds_back(cause: Cause, subject: Subject, facts: &Facts) -> Option<String> {
    let limits = &facts.config.limits;
    let depth = depth(cause, facts);
    if depth > limits.chain_depth {
        return Some(sentences::machines_in_a_row(depth - 1, limits.chain_depth));
    }
    too_many(subject, facts)
}

/// Why a wish for another attempt is not followed now.
pub(super) fn holds_back_retry(by: &Sender, subject: Subject, facts: &Facts) -> Option<String> {
    let limit = facts.config.limits.chain_depth;
    if by.is_bot && facts.bot_runs_last_hour >= limit {
        return Some(sentences::bots_too_often(facts.bot_runs_last_hour, subject, limit));
    }
    too_many(subject, facts)
}

fn too_many(subject: Subject, facts: &Facts) -> Option<String> {
    let limit = facts.config.limits.runs_per_hour;
    (facts.runs_last_hour >= limit).then(|| sentences::runs_too_often(facts.runs_last_hour, subject, limit))
}
