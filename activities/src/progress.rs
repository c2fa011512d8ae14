//! Where a run is, told to its row.

use domain::{
    run::{RunState, Step},
    run_limits::UNHEARD_LIMIT,
};
use store::{
    PgConnection,
    steps::{self, Entry, StepKey},
};
use workflows::messages::RunRef;

use crate::{failure::StepError, platform::Platform, run_steps::show_state::show_wait};

/// Tells the rows that a step begins, and that the run was heard of. A late or repeated word moves nothing: steps only go forward
/// within an attempt.
///
/// # Errors
/// When the database is away.
pub async fn enter(
    platform: &Platform,
    conn: &mut PgConnection,
    at: RunRef,
    (state, step): (RunState, Step),
) -> Result<(), StepError> {
    let now = platform.now();
    let entry = Entry { state, heard_until: now + UNHEARD_LIMIT, now };
    Ok(steps::enter(conn, key(at, step), entry).await?)
}

/// Names a step of an attempt.
#[must_use]
pub fn key(at: RunRef, step: Step) -> StepKey {
    StepKey { run: at.run, attempt: at.attempt, step }
}

/// Does a step while its row says so: begun, how often, done with its output or failed with its words.
///
/// # Errors
/// Those of the work.
pub async fn recorded<T, W>(platform: &Platform, at: RunRef, step: Step, work: W) -> Result<T, StepError>
where
    T: serde::Serialize,
    W: Future<Output = Result<T, StepError>>,
{
    let key = key(at, step);
    // Whose sender is not known yet does not work yet.
    let state = if step == Step::Authorise { RunState::Queued } else { RunState::Working };
    enter(platform, &mut *platform.store.acquire().await?, at, (state, step)).await?;
    platform.store.ring(at.run);
    let done = work.await;
    let mut conn = platform.store.acquire().await?;
    match &done {
        Ok(output) => {
            let output = serde_json::to_value(output).map_err(|error| StepError::fatal("output", error.to_string()))?;
            steps::done(&mut conn, key, &output, platform.now()).await?;
        }
        Err(StepError::Cancelled | StepError::WorkerLeaves) => {}
        Err(StepError::NotBefore { at: until, message }) => {
            steps::waits(&mut conn, key, message, *until).await?;
            drop(conn);
            show_wait(platform, at).await;
        }
        Err(error) => steps::failed(&mut conn, key, &error.to_string(), platform.now()).await?,
    }
    platform.store.ring(at.run);
    done
}
