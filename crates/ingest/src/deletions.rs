//! Deleting a project: the mark, with the command that starts its workflow.

use chrono::{DateTime, Utc};
use domain::{
    ids::{Instance, ProjectId},
    workflow_id,
};
use serde_json::json;
use store::{
    CommandKind, PgConnection, Result,
    commands::{self, About, NewCommand},
    project_deletions::{self, NewDeletion},
    repositories,
};
use workflows::messages::ProjectRef;

/// Marks a project as being deleted: from now on nothing starts in its repositories. Gives the workflow that has a command now; none
/// if it is being deleted already.
///
/// # Errors
/// The database fails.
pub async fn begin(conn: &mut PgConnection, instance: &Instance, new: NewDeletion<'_>) -> Result<Option<String>> {
    if !project_deletions::begin(conn, new).await? {
        return Ok(None);
    }
    for repository in repositories::of_project(conn, new.project).await? {
        repositories::detach(conn, repository.id, new.now).await?;
    }
    start(conn, instance, (new.project, 1), new.now).await.map(Some)
}

/// Another workflow takes the place of one that was lost; none if somebody else was first.
///
/// # Errors
/// The database fails.
pub async fn begin_again(
    conn: &mut PgConnection,
    instance: &Instance,
    (project, attempt): (ProjectId, u32),
    now: DateTime<Utc>,
) -> Result<Option<String>> {
    match project_deletions::begin_again(conn, project, attempt, now).await? {
        Some(next) => start(conn, instance, (project, next), now).await.map(Some),
        None => Ok(None),
    }
}

async fn start(
    conn: &mut PgConnection,
    instance: &Instance,
    (project, attempt): (ProjectId, u32),
    now: DateTime<Utc>,
) -> Result<String> {
    let workflow_id = workflow_id::delete_project(instance, project, attempt);
    let command = NewCommand {
        workflow_id: &workflow_id,
        kind: CommandKind::Start,
        about: About::Project(project),
        name: Some("DeleteProject"),
        payload: json!(ProjectRef { project }),
        now,
    };
    commands::enqueue(conn, command).await?;
    Ok(workflow_id)
}
