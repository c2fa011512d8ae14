//! What the cluster says about a Job, kept with the run.

use jobs::JobRef;
use store::job_events;
use workflows::messages::RunRef;

use crate::{failure::StepError, platform::Platform};

/// Keeps what is said so far. It is told beside the run's work: where it can't be had, the work goes on.
pub(crate) async fn keep(platform: &Platform, at: RunRef, job: &JobRef) {
    if let Err(error) = try_keep(platform, at, job).await {
        tracing::warn!(job = job.name(), %error, "what the cluster says about a Job could not be kept");
    }
}

async fn try_keep(platform: &Platform, at: RunRef, job: &JobRef) -> Result<(), StepError> {
    let events = platform.launcher.events(job).await?;
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
