//! Where a run is, told to its row.

use domain::{
    run::{RunState, Step},
    run_limits::UNHEARD_LIMIT,
};
use store::{
    PgConnection,
    runs::{self, StateUpdate},
    steps::{self, StepKey},
};
use workflows::messages::RunRef;

use crate::{failure::StepError, platform::Platform, run_steps::show_state::show_wait};

/// Tells the row that a step has begun, in a transaction of its own.
///
/// # Errors
/// When the database is away.
pub async fn enter(platform: &Platform, at: RunRef, step: Step) -> Result<(), StepError> {
    let mut tx = platform.store.begin().await?;
    move_to(platform, &mut tx, at, RunState::Working, step).await?;
    tx.commit().await.map_err(store::StoreError::from)?;
    platform.store.ring(at.run);
    Ok(())
}

/// Tells the row where the run is, and that it was heard of. A late or repeated word moves nothing: steps only go forward
/// within an attempt.
///
/// # Errors
/// When the database is away.
pub async fn move_to(
    platform: &Platform,
    tx: &mut PgConnection,
    at: RunRef,
    state: RunState,
    step: Step,
) -> Result<(), StepError> {
    let now = platform.now();
    runs::project_state(tx, at.run, at.attempt, StateUpdate::at(state, step), now).await?;
    runs::heard(tx, at.run, at.attempt, now + UNHEARD_LIMIT).await?;
    Ok(())
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
    steps::begin(&mut *platform.store.acquire().await?, key, platform.now()).await?;
    platform.store.ring(at.run);
    let done = work.await;
    let mut conn = platform.store.acquire().await?;
    match &done {
        Ok(output) => {
            let output = serde_json::to_value(output).map_err(|error| StepError::fatal("output", error.to_string()))?;
            steps::done(&mut conn, key, &output, platform.now()).await?;
        }
        Err(StepError::Cancelled) => {}
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
