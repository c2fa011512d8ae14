//! The description of the commit status.

use crate::run::{Outcome, RunState, Step};

/// Longest description that the forge takes.
const MAX_CHARS: usize = 140;

/// One phrase: what the run does, or how it ended.
#[must_use]
pub fn status_description(state: RunState, step: Option<Step>, outcome: Option<Outcome>) -> String {
    let text = match (state, step, outcome) {
        (RunState::Finished, _, Some(outcome)) => outcome.describe(),
        (RunState::Finished, _, None) => "the run has ended",
        (RunState::Queued, ..) => "accepted",
        (RunState::Waiting, ..) => "waiting for a free slot",
        (RunState::Working, Some(step), _) => step.describe(),
        (RunState::Working, None, _) => "at work",
    };
    text.chars().take(MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_a_short_description() {
        for &state in RunState::ALL {
            for step in Step::ALL.iter().copied().map(Some).chain([None]) {
                for outcome in Outcome::ALL.iter().copied().map(Some).chain([None]) {
                    let text = status_description(state, step, outcome);
                    assert!((1..=MAX_CHARS).contains(&text.chars().count()), "{state} {step:?} {outcome:?}");
                }
            }
        }
        assert_eq!(status_description(RunState::Finished, Some(Step::Settle), Some(Outcome::Lost)), "lost");
        assert_eq!(status_description(RunState::Working, Some(Step::Agent), None), "the agent is working");
    }
}
