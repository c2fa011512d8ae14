//! Stores what the repository is, and with which credential it is worked on.

use domain::{connection::CredentialKind, sentences};
use forge::{ForgeError, Repository};
use store::{
    StoreError,
    connections::{self, Connection},
    project_deletions,
    repositories::{self, NewRepository},
};

use crate::{failure::StepError, forge_access::ForgeByName, platform::Platform};

pub(super) async fn run(platform: &Platform, connection: Connection) -> Result<(), StepError> {
    let credential = super::credential(&connection)?;
    let access = platform.forge.open_by_name(credential, &connection.owner, &connection.name).await?;
    let found = find(&access, &connection).await?;
    let mut tx = platform.store.begin().await?;
    if project_deletions::find(&mut tx, connection.project).await?.is_some() {
        return Err(StepError::fatal("project_deleted", sentences::project_deleted_meanwhile()));
    }
    let new = NewRepository {
        project: connection.project,
        // The identity: one that was renamed is found again.
        forge_repo_id: found.repo.forge_id.get(),
        owner: &found.repo.owner,
        name: &found.repo.name,
        default_branch: &found.default_branch,
        private: found.private,
        archived: found.archived,
        credential: Some(credential),
        now: platform.now(),
    };
    let repository = repositories::upsert_repository(&mut tx, new).await.map_err(|error| match error {
        StoreError::Conflict { .. } => StepError::fatal("repository_name_taken", sentences::name_taken(&found.repo)),
        other => other.into(),
    })?;
    connections::set_repository(&mut tx, connection.id, repository, platform.now()).await?;
    Ok(tx.commit().await.map_err(StoreError::from)?)
}

/// The repository, if the credential sees it and something can be written there.
pub(super) async fn find(access: &ForgeByName, connection: &Connection) -> Result<Repository, StepError> {
    let full_name = format!("{}/{}", connection.owner, connection.name);
    let found = match access.provider.repository_by_name(&connection.owner, &connection.name).await {
        Err(ForgeError::NotFound) => {
            return Err(StepError::fatal("repository_not_found", unseen(access.kind, &full_name)));
        }
        other => other?,
    };
    if found.archived {
        return Err(StepError::fatal("repository_archived", sentences::unarchive_first(full_name)));
    }
    Ok(found)
}

fn unseen(kind: CredentialKind, full_name: &str) -> String {
    match kind {
        CredentialKind::Token => sentences::repository_unseen_by_token(full_name),
        CredentialKind::App => sentences::repository_unseen_by_app(full_name),
    }
}
