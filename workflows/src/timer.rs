//! Timers that a cancel can't break.

use std::time::Duration;

use temporalio_workflow::{TimerOptions, WorkflowCancellationToken};

/// A timer that is given up when the token is cancelled. It has to be one that the workflow's own code cancels, never the workflow's token
/// or a child of it, as a timer has that is made without options.
///
/// Those are cancelled by the SDK (1.1) while it takes in what has happened, and the timer goes out of its books. If it has fired meanwhile, its
/// firing is looked up there next, is not found, and the workflow stands still for good: a run could not be cancelled any more if
/// no worker had been there for a moment. Such a timer would also keep its workflow in memory if it were dropped before it ends.
pub(crate) fn timer(after: Duration, token: &WorkflowCancellationToken) -> TimerOptions {
    TimerOptions::builder(after).cancellation_token(token.clone()).build()
}
