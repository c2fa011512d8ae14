//! Takes away what the cluster keeps for the project's Jobs: its namespace, with everything in it.

use domain::ids::{ProjectId, ProjectSlug};
use store::repositories;

use crate::{failure::StepError, platform::Platform};

pub(super) async fn run(platform: &Platform, project: ProjectId) -> Result<(), StepError> {
    let project = repositories::get_project(&mut *platform.store.acquire().await?, project).await?;
    Ok(platform.launcher.remove_project(&ProjectSlug::new(project.slug)).await?)
}
