//! Nothing is left: the project's members are members no longer. What was done in it stays.

use domain::ids::ProjectId;
use serde_json::json;
use store::{StoreError, audit, project_deletions, repositories};

use crate::{failure::StepError, platform::Platform};

pub(super) async fn run(platform: &Platform, project: ProjectId) -> Result<(), StepError> {
    let now = platform.now();
    let mut tx = platform.store.begin().await?;
    if let Some(members) = project_deletions::end(&mut tx, project, now).await? {
        let named = repositories::get_project(&mut tx, project).await?;
        let detail = json!({ "project": project, "name": named.slug, "members": members });
        let event = audit::NewFlowEvent {
            project: Some(project),
            ..audit::NewFlowEvent::new(now, "worker", "project_deleted", detail)
        };
        audit::append(&mut tx, event).await?;
    }
    Ok(tx.commit().await.map_err(StoreError::from)?)
}
