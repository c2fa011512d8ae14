//! Ends when the Job's report is stored, or when the Job is gone or silent without one.
//!
//! The report wakes the workflow by a signal; this watch is for the Job that can no longer send one.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::job::JobPresence;
use store::attempts;
use workflows::messages::{JobEnd, RunRef};

use crate::{failure::StepError, platform::Platform, run_context::RunContext};

/// How often the launcher is asked. Nothing on the way of a run waits for this.
const PERIOD: Duration = Duration::from_secs(1);

/// A runner that is alive says so every 5 s; this silence is taken for its end.
const SILENCE: TimeDelta = TimeDelta::seconds(90);

/// After the Job's end its last words may still be on their way.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Waits for the Job's report, or its end without one.
///
/// # Errors
/// See [`StepError`].
pub async fn run(platform: &Platform, at: RunRef) -> Result<JobEnd, StepError> {
    let job = RunContext::load(platform, at).await?.job();
    let begun = platform.now();
    loop {
        let Some(last_heard) = unreported(platform, at).await? else { return Ok(JobEnd::Reported) };
        match platform.launcher.presence(&job).await? {
            JobPresence::Running => {}
            JobPresence::Ended | JobPresence::Absent => {
                tokio::time::sleep(LAST_WORDS).await;
                if unreported(platform, at).await?.is_none() {
                    return Ok(JobEnd::Reported);
                }
                let cause = "The Job ended without a report: it was killed, or its machine was.".to_owned();
                return Ok(JobEnd::Lost { cause });
            }
        }
        let silent = platform.now() - last_heard.unwrap_or(begun).max(begun);
        if silent > SILENCE {
            platform.launcher.stop(&job, Duration::from_secs(5)).await?;
            let cause = format!("The Job was not heard of for {} seconds.", silent.num_seconds());
            return Ok(JobEnd::Lost { cause });
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// None once there is a report; else when the runner was last heard of, if ever.
async fn unreported(platform: &Platform, at: RunRef) -> Result<Option<Option<DateTime<Utc>>>, StepError> {
    let mut conn = platform.store.acquire().await?;
    if attempts::report(&mut conn, at.run, at.attempt).await?.is_some() {
        return Ok(None);
    }
    Ok(Some(attempts::get(&mut conn, at.run, at.attempt).await?.job_heartbeat_at))
}
