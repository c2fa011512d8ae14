//! Ends Jobs that no attempt needs: of an attempt that has ended, or that is not known. And removes what is kept in the cluster
//! for projects that are gone.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::ProjectSlug;
use jobs::FoundJob;
use store::{StoreError, attempts, repositories};

use crate::{failure::StepError, platform::Platform};

/// A Job is left alone for so long after its launch, and after its attempt's end: it is being collected.
const YOUNG: TimeDelta = TimeDelta::minutes(3);

pub(super) async fn run(platform: &Platform) -> Result<String, StepError> {
    let now = platform.now();
    let mut ended = 0_u32;
    for found in platform.launcher.list().await? {
        if is_stray(platform, &found, now).await? {
            tracing::warn!(job = found.job.name(), "ending a Job that no attempt needs");
            platform.launcher.stop(&found.job, Duration::ZERO).await?;
            ended += 1;
        }
    }
    let mut removed = 0_u32;
    for project in platform.launcher.projects().await? {
        if !is_known(platform, &project).await? {
            tracing::warn!(%project, "removing what is kept in the cluster for a project that is gone");
            platform.launcher.remove_project(&project).await?;
            removed += 1;
        }
    }
    Ok(format!("ended {ended} stray Jobs, removed {removed} projects"))
}

async fn is_stray(platform: &Platform, found: &FoundJob, now: DateTime<Utc>) -> Result<bool, StepError> {
    if now - found.since < YOUNG {
        return Ok(false);
    }
    let mut conn = platform.store.acquire().await?;
    match attempts::get(&mut conn, found.job.run, found.job.attempt).await {
        Ok(attempt) => Ok(attempt.finished_at.is_some_and(|at| now - at > YOUNG)),
        Err(StoreError::Missing { .. }) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

async fn is_known(platform: &Platform, project: &ProjectSlug) -> Result<bool, StepError> {
    let mut conn = platform.store.acquire().await?;
    Ok(repositories::has_project(&mut conn, project.as_str()).await?)
}
