//! Keeps the engine's schedules as the projects' settings want them.

use std::time::Duration;

use dispatch::{Schedule, When};
use domain::{
    services_yaml::{ScheduleConfig, ServicesYaml},
    workflow_id,
};
use serde_json::json;
use store::{
    project_schedules,
    repositories::{self, Repository},
};

use crate::{failure::StepError, platform::Platform};

/// A moment that the engine was down for is made up for if it is as young as this.
const CATCH_UP: Duration = Duration::from_secs(60 * 60);

/// Finding the issue may have to wait for the forge.
const LIMIT: Duration = Duration::from_secs(4 * 60 * 60);

/// Which schedules the engine is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    /// Those that have changed.
    Changes,
    /// All: it may have forgotten some.
    All,
}

/// What was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    /// Schedules made or changed.
    pub put: usize,
    /// Schedules taken away.
    pub deleted: usize,
}

/// Tells the engine about the schedules of a repository.
///
/// # Errors
/// When the database or the engine is away; telling again does no harm.
pub async fn sync(platform: &Platform, repository: &Repository, tell: Tell) -> Result<Synced, StepError> {
    let engine = platform.dispatcher.engine();
    let instance = platform.dispatcher.instance();
    let wanted = wanted(repository);
    let told = project_schedules::list(&mut *platform.store.acquire().await?, repository.id).await?;
    let mut synced = Synced::default();
    for schedule in &wanted {
        let definition = format!("{} {}", schedule.cron, schedule.zone);
        let known = told.iter().find(|told| told.name == schedule.name).and_then(|told| told.definition.as_deref());
        if tell == Tell::Changes && known == Some(&definition) {
            continue;
        }
        let mut conn = platform.store.acquire().await?;
        project_schedules::announce(&mut conn, repository.id, &schedule.name, platform.now()).await?;
        drop(conn);
        let put = Schedule {
            id: &workflow_id::project_schedule(instance, repository.id, &schedule.name),
            when: When::Cron { line: &schedule.cron, zone: &schedule.zone },
            workflow_type: "ScheduledStart",
            input: &json!({ "repository": repository.id, "name": schedule.name }),
            limit: LIMIT,
            catch_up: CATCH_UP,
        };
        engine.put_schedule(&put).await.map_err(StepError::passing)?;
        let mut conn = platform.store.acquire().await?;
        project_schedules::told(&mut conn, repository.id, &schedule.name, &definition).await?;
        synced.put += 1;
    }
    for old in told.iter().filter(|told| wanted.iter().all(|schedule| schedule.name != told.name)) {
        let id = workflow_id::project_schedule(instance, repository.id, &old.name);
        engine.delete_schedule(&id).await.map_err(StepError::passing)?;
        project_schedules::gone(&mut *platform.store.acquire().await?, repository.id, &old.name).await?;
        synced.deleted += 1;
    }
    Ok(synced)
}

/// The same for all repositories. One repository's trouble does not hold up the others.
///
/// # Errors
/// When the database is away, or the engine does not take some of them.
pub async fn sync_all(platform: &Platform) -> Result<Synced, StepError> {
    let ids = project_schedules::repositories(&mut *platform.store.acquire().await?).await?;
    let mut sum = Synced::default();
    let mut failed = None;
    for id in ids {
        let repository = repositories::get(&mut *platform.store.acquire().await?, id).await?;
        match sync(platform, &repository, Tell::All).await {
            Ok(synced) => (sum.put, sum.deleted) = (sum.put + synced.put, sum.deleted + synced.deleted),
            Err(error) => {
                tracing::warn!(repository = repository.full_name(), error = %error, "schedules can't be told");
                failed = Some(error);
            }
        }
    }
    failed.map_or(Ok(sum), Err)
}

/// The schedules that a repository should have now.
fn wanted(repository: &Repository) -> Vec<ScheduleConfig> {
    if repository.archived || repository.credential.is_none() || repository.detached_at.is_some() {
        return Vec::new();
    }
    config(repository).schedules
}

/// The project's settings as they are stored.
pub(crate) fn config(repository: &Repository) -> ServicesYaml {
    repository.config.clone().and_then(|stored| serde_json::from_value(stored).ok()).unwrap_or_default()
}
