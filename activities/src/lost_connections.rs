//! Ends connections whose workflow is gone: terminated in the engine's own UI, or forgotten. Else they would stand in the way of
//! connecting the repository again.
//!
//! A reconciler: no input, idempotent, no retries of its own.

use std::time::Duration;

use chrono::TimeDelta;
use domain::{ids::ConnectionId, workflow_id};
use store::connections;
use workflows::messages::ConnectionEnd;

use crate::{
    connect_steps,
    failure::StepError,
    platform::Platform,
    sweeps::{self, Seen, pause_after},
};

/// How often is looked.
const PERIOD: Duration = Duration::from_secs(10);

/// A workflow that was just started, or is just closing, is left alone.
const YOUNG: TimeDelta = TimeDelta::seconds(10);

/// Looks again and again until dropped.
pub async fn keep(platform: &Platform) {
    loop {
        pause_after(sweep(platform).await, "lost connections", PERIOD).await;
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
            let end = ConnectionEnd { connection, failure: Some(cause), left: None };
            connect_steps::end(platform, &end).await?;
            ended += 1;
        }
    }
    Ok(ended)
}

/// None while the workflow lives, or may still be on its way.
async fn cause_of_death(platform: &Platform, connection: ConnectionId) -> Result<Option<String>, StepError> {
    let id = workflow_id::connect_repository(platform.dispatcher.instance(), connection);
    let Seen::Gone(cause) = sweeps::seen(platform, &id).await else { return Ok(None) };
    Ok((!sweeps::is_on_its_way(platform, &id).await?).then_some(cause))
}
