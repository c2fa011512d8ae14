//! Shows the ends that no workflow shows: of a start that was dropped, refused or too old, and of runs whose workflow could
//! not reach the forge in time.
//!
//! A reconciler: no input, idempotent. One end's trouble holds up no other; it is tried again later and later.

use std::time::Duration;

use chrono::TimeDelta;
use store::ends::{self, Due, Owed};
use workflows::messages::RunRef;

use crate::{failure::StepError, platform::Platform, run_steps::show_state, sweeps::pause_after};

/// How often is looked. Comment, label and row must agree within 10 s of any end.
const PERIOD: Duration = Duration::from_secs(3);

/// A workflow that has settled shows the end itself; its activity is repeated for hours.
const PATIENCE: TimeDelta = TimeDelta::minutes(2);

/// What could not be shown for so long is old news.
const GIVE_UP: TimeDelta = TimeDelta::hours(24);

/// Longest pause before an end is tried again.
const LONGEST_PAUSE: TimeDelta = TimeDelta::hours(1);

/// Looks again and again until dropped.
pub async fn keep(platform: &Platform) {
    loop {
        pause_after(sweep(platform).await, "ends that are owed to the forge", PERIOD).await;
    }
}

/// Looks once; says how many ends were shown.
///
/// # Errors
/// When the database is away.
pub async fn sweep(platform: &Platform) -> Result<usize, StepError> {
    let due = Due { now: platform.now(), patience: PATIENCE, give_up: GIVE_UP };
    let owed = ends::owed(&mut *platform.store.acquire().await?, due).await?;
    let mut shown = 0;
    for end in owed {
        let at = RunRef { run: end.run, attempt: end.attempt };
        match show_state::run(platform, at).await {
            Ok(_) => shown += 1,
            Err(error) => {
                tracing::warn!(run = %end.run, attempt = %end.attempt, error = %error, "an end could not be shown");
                let after = platform.now() + pause(end);
                ends::postpone(&mut *platform.store.acquire().await?, end.run, end.attempt, after).await?;
            }
        }
    }
    Ok(shown)
}

/// 10 s, doubling, at most an hour.
fn pause(end: Owed) -> TimeDelta {
    TimeDelta::seconds(10 << end.tries.min(10)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use domain::ids::Attempt;

    use super::*;

    #[test]
    fn the_pause_grows_to_an_hour() {
        let after = |tries| {
            let run = "00000000-0000-7000-8000-000000000000".parse().unwrap();
            pause(Owed { run, attempt: Attempt::FIRST, tries }).num_seconds()
        };
        assert_eq!([after(0), after(1), after(8), after(9), after(90)], [10, 20, 2_560, 3_600, 3_600]);
    }
}
