//! Time limits and retries of the activities. [`Limits`] has the figures; what a step of a run takes is said by [`limits`]
//! and nowhere else.

use std::time::Duration;

use domain::run::Step;
use temporalio_workflow::{
    ActivityCancellationType, ActivityCloseTimeouts, ActivityOptions, LocalActivityOptions, RetryPolicy,
    WorkflowCancellationToken,
};

/// Activities beat well within this; a dead worker is noticed after it.
pub const HEARTBEAT: Duration = Duration::from_secs(15);

/// The same for watching a Job. It is only to notice an end that the Job itself does not report, and hundreds watch at once, for hours.
pub const WATCH_HEARTBEAT: Duration = Duration::from_secs(90);

/// How long an activity may take, and how often it is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// One try.
    pub start_to_close: Duration,
    /// All tries together, with the pauses between them.
    pub schedule_to_close: Duration,
    /// Tries; 0 means: bounded by `schedule_to_close` alone.
    pub attempts: u32,
}

impl Limits {
    /// Look-ups and writes in our own database: soon done or soon repeated.
    pub const QUICK: Self = Self::new(30, 15 * 60, 0);
    /// Git traffic and big files.
    pub const BULKY: Self = Self::new(10 * 60, 40 * 60, 5);
    /// Calls to the forge: may be told to come back in an hour.
    pub const FORGE: Self = Self::new(2 * 60, 3 * 60 * 60, 0);
    /// The launch by an activity: one attempt, since the launcher is asked before another.
    pub const ONCE: Self = Self::new(60, 2 * 60, 1);

    const fn new(start_to_close: u64, schedule_to_close: u64, attempts: u32) -> Self {
        let (start_to_close, schedule_to_close) =
            (Duration::from_secs(start_to_close), Duration::from_secs(schedule_to_close));
        Self { start_to_close, schedule_to_close, attempts }
    }

    /// Waiting for a Job that may take `secs`.
    #[must_use]
    pub const fn watch(secs: u64) -> Self {
        let limit = secs.saturating_add(60);
        Self::new(limit, limit.saturating_add(10 * 60), 0)
    }
}

/// What the activity that does a step may take; `job_secs` is what the Job may.
#[must_use]
pub const fn limits(step: Step, job_secs: u64) -> Limits {
    match step {
        Step::Authorise | Step::Prompt | Step::Publish => Limits::FORGE,
        Step::Slot | Step::Collect | Step::Settle => Limits::QUICK,
        Step::Clone => Limits::BULKY,
        Step::Launch => Limits::ONCE,
        Step::Agent => Limits::watch(job_secs),
    }
}

/// For the activity that does a step other than the agent's.
#[must_use]
pub fn step(step: Step, scope: &WorkflowCancellationToken) -> ActivityOptions {
    build(scope, limits(step, 0))
}

/// For look-ups and writes in our own database beside the steps.
#[must_use]
pub fn quick(scope: &WorkflowCancellationToken) -> ActivityOptions {
    build(scope, Limits::QUICK)
}

/// For big files beside the steps.
#[must_use]
pub fn bulky(scope: &WorkflowCancellationToken) -> ActivityOptions {
    build(scope, Limits::BULKY)
}

/// For calls to the forge beside the steps.
#[must_use]
pub fn forge(scope: &WorkflowCancellationToken) -> ActivityOptions {
    build(scope, Limits::FORGE)
}

/// Longest that a reconciler looks; it goes on where it was with the next look.
pub const LOOK_LIMIT: Duration = Duration::from_secs(15 * 60);

/// A reconciler's look: one attempt, since the next moment of its schedule is the next try.
#[must_use]
pub fn look(scope: &WorkflowCancellationToken) -> ActivityOptions {
    let schedule_to_close = LOOK_LIMIT.saturating_add(Duration::from_secs(60));
    build(scope, Limits { start_to_close: LOOK_LIMIT, schedule_to_close, attempts: 1 })
}

/// For waiting for a Job that may take `secs`.
#[must_use]
pub fn watch(scope: &WorkflowCancellationToken, secs: u64) -> ActivityOptions {
    let mut options = build(scope, limits(Step::Agent, secs));
    // Nothing of a watcher's end is worth waiting for: it learns of a cancel with its next heartbeat only.
    options.cancellation_type = ActivityCancellationType::TryCancel;
    options.heartbeat_timeout = Some(WATCH_HEARTBEAT);
    options
}

/// A local activity's pause that is longer is a timer, so that a database that is away keeps no workflow task open.
const LOCAL_PAUSE: Duration = Duration::from_secs(3);

/// For an activity that does a step with a few statements in our own database. The worker that has the workflow does it by itself, which
/// spares the engine the work of handing it out.
#[must_use]
pub fn local(step: Step, scope: &WorkflowCancellationToken) -> LocalActivityOptions {
    let limits = limits(step, 0);
    LocalActivityOptions::builder()
        .retry_policy(retry(limits))
        .timer_backoff_threshold(LOCAL_PAUSE)
        .cancel_type(ActivityCancellationType::WaitCancellationCompleted)
        .cancellation_token(scope.clone())
        .schedule_to_close_timeout(limits.schedule_to_close)
        .start_to_close_timeout(limits.start_to_close)
        .build()
}

/// Well below the time after which the engine has to be told that a workflow task goes on; four steps that all take as long follow each other
/// in one, which then is told of.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(5);

/// For one try by the worker that has the workflow. That workflow hears of nothing else meanwhile, and takes the place of another: so it
/// is short, and has no other try.
#[must_use]
pub fn at_once(scope: &WorkflowCancellationToken) -> LocalActivityOptions {
    tried_once(AT_ONCE, scope)
}

/// For what the workflow asks in passing, and can do without: all else that it has decided waits for the answer.
#[must_use]
pub fn in_passing(scope: &WorkflowCancellationToken) -> LocalActivityOptions {
    tried_once(Duration::from_secs(1), scope)
}

fn tried_once(limit: Duration, scope: &WorkflowCancellationToken) -> LocalActivityOptions {
    LocalActivityOptions::builder()
        .retry_policy(RetryPolicy::builder().maximum_attempts(1).build())
        .cancel_type(ActivityCancellationType::WaitCancellationCompleted)
        .cancellation_token(scope.clone())
        .schedule_to_close_timeout(limit)
        .start_to_close_timeout(limit)
        .build()
}

fn retry(limits: Limits) -> RetryPolicy {
    RetryPolicy::builder()
        .initial_interval(Duration::from_secs(1))
        .maximum_interval(Duration::from_secs(30))
        .maximum_attempts(limits.attempts)
        .build()
}

fn build(scope: &WorkflowCancellationToken, limits: Limits) -> ActivityOptions {
    let mut options = ActivityOptions::with_close_timeouts(ActivityCloseTimeouts::ScheduleAndStartToClose {
        start_to_close: limits.start_to_close,
        schedule_to_close: limits.schedule_to_close,
    })
    .heartbeat_timeout(HEARTBEAT)
    .cancellation_type(ActivityCancellationType::WaitCancellationCompleted)
    .retry_policy(retry(limits))
    .build();
    options.cancellation_token = Some(scope.clone());
    options
}
