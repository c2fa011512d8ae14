//! Has every repository detached that is not, its runs cancelled; says whether anything is left to wait for.
//!
//! Each is detached by a workflow of its own, as when somebody asks for that. One that broke off is asked for again.

use domain::{connection::ConnectionPurpose, ids::ProjectId};
use ingest::connections::{about, ask};
use store::{
    StoreError,
    connections::{self, ConnectionWish, NewConnection},
    project_deletions::{self, ProjectDeletion},
    repositories,
};
use workflows::messages::ProjectLeft;

use crate::{failure::StepError, platform::Platform};

pub(super) async fn run(platform: &Platform, project: ProjectId) -> Result<ProjectLeft, StepError> {
    let mut conn = platform.store.acquire().await?;
    let missing = || StepError::fatal("no_deletion", "nobody has asked for this project to be deleted");
    let deletion = project_deletions::find(&mut conn, project).await?.ok_or_else(missing)?;
    let repositories = project_deletions::repositories_left(&mut conn, project).await?;
    drop(conn);
    for id in repositories {
        detach(platform, &deletion, id).await?;
    }
    let mut conn = platform.store.acquire().await?;
    let left = project_deletions::left(&mut conn, project).await?;
    let nothing = left.repositories == 0 && left.runs == 0;
    let waits = if nothing {
        domain::sentences::deletion_cluster().to_owned()
    } else {
        domain::sentences::deletion_waits(left.repositories, left.runs)
    };
    project_deletions::note(&mut conn, project, &waits, platform.now()).await?;
    Ok(ProjectLeft { nothing })
}

async fn detach(
    platform: &Platform,
    deletion: &ProjectDeletion,
    id: domain::ids::RepositoryId,
) -> Result<(), StepError> {
    let now = platform.now();
    let mut tx = platform.store.begin().await?;
    repositories::detach(&mut tx, id, now).await?;
    let known = repositories::get(&mut tx, id).await?;
    // Whatever is being done to it ends by itself; then it is its turn.
    if connections::under_way(&mut tx, &known.owner, &known.name).await?.is_some() {
        return Ok(tx.commit().await.map_err(StoreError::from)?);
    }
    let wish = ConnectionWish {
        by: Some((deletion.asked_by.login.clone(), deletion.asked_by.id)),
        reason: Some(domain::sentences::project_deleted_for(&deletion.reason)),
        cancel_runs: true,
    };
    let new = NewConnection { purpose: ConnectionPurpose::Detach, ..about(&known, &wish, now) };
    let workflow_id = match ask(&mut tx, platform.dispatcher.instance(), new).await {
        // Somebody was first.
        Err(StoreError::Conflict { .. }) => return Ok(()),
        asked => asked?,
    };
    tx.commit().await.map_err(StoreError::from)?;
    platform.dispatcher.spawn(workflow_id);
    Ok(())
}
