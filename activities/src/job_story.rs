//! What the cluster says about a Job, kept with the run.

use std::time::Duration;

use jobs::{JobEvent, JobRef, LaunchError};
use store::job_events;
use tokio::time::Instant;
use workflows::messages::RunRef;

use crate::{failure::StepError, platform::Platform};

/// Longest that an API server is waited for before a Job goes without its last words; and how often it is asked.
const AWAY: Duration = Duration::from_secs(4 * 60);
const PAUSE: Duration = Duration::from_secs(3);

/// Keeps what is said so far. It is told beside the run's work: where it can't be had, the work goes on.
pub(crate) async fn keep(platform: &Platform, at: RunRef, job: &JobRef) {
    let said = platform.launcher.events(job).await;
    store_said(platform, at, job, said).await;
}

/// Keeps what is said at last, before the Job goes. A cluster that is away is waited for, a few minutes long.
pub(crate) async fn keep_last(platform: &Platform, at: RunRef, job: &JobRef) {
    let until = Instant::now() + AWAY;
    loop {
        let said = platform.launcher.events(job).await;
        if !matches!(said, Err(LaunchError::Unavailable(_))) || Instant::now() >= until {
            return store_said(platform, at, job, said).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn store_said(platform: &Platform, at: RunRef, job: &JobRef, said: Result<Vec<JobEvent>, LaunchError>) {
    if let Err(error) = try_store(platform, at, said).await {
        tracing::warn!(job = job.name(), %error, "what the cluster says about a Job could not be kept");
    }
}

async fn try_store(platform: &Platform, at: RunRef, said: Result<Vec<JobEvent>, LaunchError>) -> Result<(), StepError> {
    let events = said?;
    if events.is_empty() {
        return Ok(());
    }
    let mut conn = platform.store.acquire().await?;
    for event in events {
        let event = job_events::JobEvent {
            uid: event.uid,
            count: event.count,
            at: event.at,
            warning: event.warning,
            reason: event.reason,
            message: event.message,
        };
        job_events::keep(&mut conn, at.run, at.attempt, &event).await?;
    }
    Ok(())
}
