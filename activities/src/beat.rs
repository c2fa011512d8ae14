//! Heartbeats: how the engine learns within seconds that a worker died in the middle of an activity.

use std::{
    pin::{Pin, pin},
    time::Duration,
};

use temporalio_common::ActivityError;
use temporalio_sdk::activities::ActivityContext;
use tokio::time::Instant;

use crate::{failure::StepError, leaving};

/// Well under [`workflows::options::HEARTBEAT`], so that a busy machine does not look like a dead one; the engine stores each sign of life.
const INTERVAL: Duration = Duration::from_secs(4);

/// The same for what lasts for hours, by [`workflows::options::WATCH_HEARTBEAT`]: hundreds do at once.
const SELDOM: Duration = Duration::from_secs(30);

/// What a cancel means to a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCancel {
    /// Drop it where it stands.
    Stop,
    /// The same, and go on elsewhere as soon as another worker has taken over: for what lasts for hours and loses nothing when it is
    /// begun anew. It tells seldom that it goes on.
    StopAndMove,
    /// Finish: half of it would be worse than all or nothing.
    Finish,
}

/// Does the work while telling the engine that it goes on.
///
/// The work is boxed: within futures that hold each other, it would be kept room for several times over.
///
/// # Errors
/// Those of the work, in the engine's form.
pub fn beating<'a, T: Send + 'a>(
    ctx: &'a ActivityContext,
    on_cancel: OnCancel,
    work: impl Future<Output = Result<T, StepError>> + Send + 'a,
) -> impl Future<Output = Result<T, ActivityError>> + Send + 'a {
    beat(ctx, on_cancel, Box::pin(work))
}

async fn beat<T>(
    ctx: &ActivityContext,
    on_cancel: OnCancel,
    mut work: Pin<Box<dyn Future<Output = Result<T, StepError>> + Send + '_>>,
) -> Result<T, ActivityError> {
    // The beginning is a sign of life by itself: most activities have ended before they owe another, which the engine would have to store.
    let interval = if on_cancel == OnCancel::StopAndMove { SELDOM } else { INTERVAL };
    let mut ticks = tokio::time::interval_at(Instant::now() + interval, interval);
    let mut leaves = pin!(leaving::told_to_leave(on_cancel));
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            () = ctx.cancelled(), if on_cancel != OnCancel::Finish => break Err(StepError::Cancelled),
            () = &mut leaves => break Err(StepError::WorkerLeaves),
            _ = ticks.tick() => {
                // Only an unserialisable value can fail here, and this one is `()`.
                let _ = ctx.record_heartbeat(()).await;
            }
        }
    };
    done.map_err(|error| {
        let info = ctx.info();
        if !matches!(error, StepError::Cancelled | StepError::WorkerLeaves) {
            tracing::warn!(
                workflow_id = info.workflow_id.as_deref().unwrap_or_default(),
                activity = info.activity_type,
                attempt = info.attempt,
                error = %error,
                "activity failed"
            );
        }
        error.into_activity_error(chrono::Utc::now())
    })
}
