//! Who has a run in hand, in every place where it can be, and by when something is heard of it again.
//!
//! Derived from the limits that the workflow's activities really have. A run whose owner fails to keep its time reaches its
//! deadline (`runs.deadline_at`), and then the reconciler of lost runs has it: in every place the deadline comes later than
//! the owner's time, and never is there none.

use std::time::Duration;

use domain::{
    run::{RunState, Step},
    run_limits::START_MAX_AGE,
};

use crate::{
    agent_run::{LAUNCH_PAUSE, LAUNCH_TRIES, SETTLE_PAUSE, SLOT_RECHECK},
    options::{AT_ONCE, Limits, limits},
};

/// Who has a run in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The dispatcher, until its start is delivered or too old to be.
    Dispatcher,
    /// Its workflow, which waits for a slot and asks again.
    Queue,
    /// Its workflow, in an activity of this step.
    Activity(Step),
}

/// Who has a run in hand, and how long at most until it has moved, ended, or was heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Who.
    pub owner: Owner,
    /// Until then at the latest.
    pub within: Duration,
}

/// Who has a run in hand that is there. `job_secs` is what its Job may take. None once it has ended: nobody has to.
#[must_use]
pub fn hold(state: RunState, step: Option<Step>, job_secs: u64) -> Option<Hold> {
    let hold = match (state, step) {
        (RunState::Finished, _) => return None,
        (_, None) => Hold { owner: Owner::Dispatcher, within: START_MAX_AGE.to_std().unwrap_or(Duration::MAX) },
        (RunState::Waiting, Some(step)) => {
            Hold { owner: Owner::Queue, within: SLOT_RECHECK.saturating_add(limits(step, job_secs).schedule_to_close) }
        }
        (RunState::Queued | RunState::Working, Some(step)) => {
            Hold { owner: Owner::Activity(step), within: longest(step, job_secs) }
        }
    };
    Some(hold)
}

/// The longest that a step takes: its activity, and what the workflow does around it.
fn longest(step: Step, job_secs: u64) -> Duration {
    let once = limits(step, job_secs).schedule_to_close;
    match step {
        Step::Launch => {
            // Between two tries, the first of which is the one at once, and after the last.
            let look = Limits::QUICK.schedule_to_close.saturating_add(LAUNCH_PAUSE);
            once.saturating_add(look).saturating_mul(LAUNCH_TRIES).saturating_add(AT_ONCE).saturating_add(look)
        }
        Step::Authorise | Step::Clone | Step::Prompt => once.saturating_add(AT_ONCE),
        // What broke off has its Job ended first. Settling repeats itself; each time it has moved nothing, the deadline
        // comes nearer.
        Step::Settle => once.saturating_add(SETTLE_PAUSE).saturating_add(Limits::QUICK.schedule_to_close),
        _ => once,
    }
}

#[cfg(test)]
mod tests {
    use domain::run_limits::{UNHEARD_LIMIT, unheard_limit};
    use proptest::prelude::*;

    use super::*;

    /// A Job of a year is more than any project may ask for.
    const JOB_SECS: std::ops::RangeInclusive<u64> = 0..=365 * 24 * 3600;

    fn place() -> impl Strategy<Value = (RunState, Option<Step>)> {
        let step = proptest::option::of(proptest::sample::select(Step::ALL));
        (proptest::sample::select(RunState::ALL), step)
    }

    /// The deadline as the activities set it: when a place is entered, and in it whenever something is heard.
    fn deadline(step: Option<Step>, job_secs: u64) -> Duration {
        let limit = if step == Some(Step::Agent) { unheard_limit(job_secs) } else { UNHEARD_LIMIT };
        limit.to_std().unwrap_or_default()
    }

    proptest! {
        #[test]
        fn every_place_has_an_owner_who_is_done_before_the_deadline(
            (state, step) in place(),
            job_secs in JOB_SECS,
        ) {
            let hold = hold(state, step, job_secs);
            prop_assert_eq!(hold.is_none(), state == RunState::Finished, "only what has ended is nobody's");
            if let Some(Hold { owner, within }) = hold {
                prop_assert!(within > Duration::ZERO);
                prop_assert!(within < deadline(step, job_secs), "{owner:?} may take {within:?}");
                match owner {
                    Owner::Dispatcher => prop_assert_eq!(step, None),
                    Owner::Queue => prop_assert_eq!(state, RunState::Waiting),
                    Owner::Activity(of) => prop_assert_eq!(Some(of), step),
                }
            }
        }
    }

    #[test]
    fn an_activity_that_launches_is_never_repeated_by_the_engine() {
        assert_eq!(limits(Step::Launch, 0).attempts, 1);
    }
}
