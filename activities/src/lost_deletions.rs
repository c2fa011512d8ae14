//! Begins deletions of projects again whose workflow is gone: terminated in the engine's own UI, or given up.
//!
//! A reconciler: no input, idempotent, no retries of its own.

use std::time::Duration;

use chrono::TimeDelta;
use domain::workflow_id;
use store::{StoreError, project_deletions};

use crate::{
    failure::StepError,
    platform::Platform,
    sweeps::{self, Seen, pause_after},
};

/// How often is looked.
const PERIOD: Duration = Duration::from_secs(15);

/// A workflow that was just started, or is just closing, is left alone.
const YOUNG: TimeDelta = TimeDelta::seconds(15);

/// Looks again and again until dropped.
pub async fn keep(platform: &Platform) {
    loop {
        pause_after(sweep(platform).await, "lost deletions", PERIOD).await;
    }
}

/// Looks once; says how many were begun again.
///
/// # Errors
/// When the database is away. An engine that is away changes nothing.
pub async fn sweep(platform: &Platform) -> Result<usize, StepError> {
    let before = platform.now() - YOUNG;
    let unfinished = project_deletions::unfinished(&mut *platform.store.acquire().await?, before).await?;
    let instance = platform.dispatcher.instance();
    let mut begun = 0;
    for deletion in unfinished {
        let at = (deletion.project, deletion.attempt);
        let id = workflow_id::delete_project(instance, at.0, at.1);
        let Seen::Gone(cause) = sweeps::seen(platform, &id).await else { continue };
        if sweeps::is_on_its_way(platform, &id).await? {
            continue;
        }
        let mut tx = platform.store.begin().await?;
        let again = ingest::deletions::begin_again(&mut tx, instance, at, platform.now()).await?;
        tx.commit().await.map_err(StoreError::from)?;
        if let Some(workflow) = again {
            tracing::warn!(project = %deletion.project, cause, "the deletion of a project is begun again");
            platform.dispatcher.spawn(workflow);
            begun += 1;
        }
    }
    Ok(begun)
}
