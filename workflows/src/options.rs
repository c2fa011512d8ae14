//! Time limits and retries of the activities, one function a kind of work.

use std::time::Duration;

use temporalio_workflow::{
    ActivityCancellationType, ActivityCloseTimeouts, ActivityOptions, RetryPolicy, WorkflowCancellationToken,
};

/// Activities beat well within this; a dead worker is noticed after it.
pub const HEARTBEAT: Duration = Duration::from_secs(10);

/// Look-ups and writes in our own database: soon done or soon repeated.
#[must_use]
pub fn quick(scope: &WorkflowCancellationToken) -> ActivityOptions {
    build(scope, Duration::from_secs(30), Duration::from_secs(15 * 60), 0)
}

/// Git traffic and big files.
#[must_use]
pub fn bulky(scope: &WorkflowCancellationToken) -> ActivityOptions {
    build(scope, Duration::from_secs(10 * 60), Duration::from_secs(40 * 60), 5)
}

/// Calls to the forge: may be told to come back in an hour.
#[must_use]
pub fn forge(scope: &WorkflowCancellationToken) -> ActivityOptions {
    build(scope, Duration::from_secs(2 * 60), Duration::from_secs(3 * 60 * 60), 0)
}

/// The launch: one attempt, since a second one could pay for a turn twice.
#[must_use]
pub fn once(scope: &WorkflowCancellationToken) -> ActivityOptions {
    build(scope, Duration::from_secs(60), Duration::from_secs(2 * 60), 1)
}

/// Waiting for a Job that may take `secs`.
#[must_use]
pub fn watch(scope: &WorkflowCancellationToken, secs: u64) -> ActivityOptions {
    let limit = Duration::from_secs(secs) + Duration::from_secs(60);
    let mut options = build(scope, limit, limit + Duration::from_secs(10 * 60), 0);
    // Nothing of a watcher's end is worth waiting for: it learns of a cancel with its next heartbeat only.
    options.cancellation_type = ActivityCancellationType::TryCancel;
    options
}

/// `attempts` 0 means: bounded by `schedule_to_close` alone.
fn build(
    scope: &WorkflowCancellationToken,
    start_to_close: Duration,
    schedule_to_close: Duration,
    attempts: u32,
) -> ActivityOptions {
    let retry = RetryPolicy::builder()
        .initial_interval(Duration::from_secs(1))
        .maximum_interval(Duration::from_secs(30))
        .maximum_attempts(attempts)
        .build();
    let mut options = ActivityOptions::with_close_timeouts(ActivityCloseTimeouts::ScheduleAndStartToClose {
        start_to_close,
        schedule_to_close,
    })
    .heartbeat_timeout(HEARTBEAT)
    .cancellation_type(ActivityCancellationType::WaitCancellationCompleted)
    .retry_policy(retry)
    .build();
    options.cancellation_token = Some(scope.clone());
    options
}
