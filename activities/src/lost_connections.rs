//! Ends connections whose workflow is gone: terminated in the engine's own UI, or forgotten. Else they would stand in the way of
//! connecting the repository again.
//!
//! A reconciler: no input, idempotent, no retries of its own.

use std::time::Duration;

use chrono::TimeDelta;
use dispatch::engine::WorkflowState;
use domain::{ids::ConnectionId, workflow_id};
use store::{commands, connections};
use workflows::messages::ConnectionEnd;

use crate::{connect_steps, failure::StepError, platform::Platform};

/// How often is looked.
const PERIOD: Duration = Duration::from_secs(10);

/// A workflow that was just started, or is just closing, is left alone.
const YOUNG: TimeDelta = TimeDelta::seconds(10);

/// Looks again and again until dropped.
pub async fn keep(platform: &Platform) {
    loop {
        if let Err(error) = sweep(platform).await {
            tracing::warn!(error = %error, "lost connections could not be looked for");
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// Looks once; says how many connections were ended.
///
/// # Errors
/// When the database is away. An engine that is away ends nothing.
pub async fn sweep(platform: &Platform) -> Result<usize, StepError> {
    let before = platform.now() - YOUNG;
    let unfinished = connections::unfinished(&mut *platform.store.acquire().await?, before).await?;
    let mut ended = 0;
    for connection in unfinished {
        if let Some(cause) = cause_of_death(platform, connection).await? {
            let end = ConnectionEnd { connection, failure: Some(cause) };
            connect_steps::end(platform, &end).await?;
            ended += 1;
        }
    }
    Ok(ended)
}

/// None while the workflow lives, or may still be on its way.
async fn cause_of_death(platform: &Platform, connection: ConnectionId) -> Result<Option<String>, StepError> {
    let id = workflow_id::connect_repository(platform.dispatcher.instance(), connection);
    let state = match platform.dispatcher.engine().state(&id).await {
        Ok(state) => state,
        Err(error) => {
            tracing::debug!(workflow_id = id, error = %error, "the engine can't be asked");
            return Ok(None);
        }
    };
    let cause = match state {
        WorkflowState::Open => return Ok(None),
        WorkflowState::Closed { status } => format!("Its workflow was ended in the engine ({status})."),
        WorkflowState::Unknown => "The engine does not know its workflow.".to_owned(),
    };
    let pending = commands::pending(&mut *platform.store.acquire().await?, &id, 1).await?;
    Ok(pending.is_empty().then_some(cause))
}
