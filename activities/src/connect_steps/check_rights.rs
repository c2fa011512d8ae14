//! What may the credential do in the repository?

use domain::{
    connection::{ConnectionPurpose, CredentialKind},
    ids::CredentialId,
    rights::missing,
};
use forge::{ForgeError, ForgeRepoId, RepoRef};
use store::{
    connections::{self, Connection},
    credentials::{self, Learnt},
};
use workflows::messages::RightsVerdict;

use super::adopt_repository::find;
use crate::{failure::StepError, forge_access::ForgeByName, platform::Platform};

/// Probing takes this many of the writes that the credential's pace allows.
const PROBES: usize = 5;

pub(super) async fn run(platform: &Platform, connection: Connection) -> Result<RightsVerdict, StepError> {
    let credential = super::credential(&connection)?;
    let access = platform.forge.open_by_name(credential, &connection.owner, &connection.name).await?;
    let checks = match access.kind {
        CredentialKind::Token => {
            let found = find(&access, &connection).await?;
            for _ in 0..PROBES {
                platform.forge.pace_credential(credential).await?;
            }
            access.provider.rights(&found.repo).await?
        }
        // What an App may do is told before anything is done in the repository: without a right, not even a token is to be had.
        CredentialKind::App => {
            let checks = access.provider.rights(&by_name(&connection)).await?;
            if missing(&checks).is_empty() {
                find(&access, &connection).await?;
            }
            checks
        }
    };
    let complete = missing(&checks).is_empty();
    let mut conn = platform.store.acquire().await?;
    connections::set_rights(&mut conn, connection.id, &checks, platform.now()).await?;
    drop(conn);
    learn(platform, credential, &access).await?;
    Ok(RightsVerdict { connect: complete && connection.purpose == ConnectionPurpose::Connect })
}

/// A repository of which only the name is known; its number is asked of nobody here.
fn by_name(connection: &Connection) -> RepoRef {
    RepoRef { owner: connection.owner.clone(), name: connection.name.clone(), forge_id: ForgeRepoId(0) }
}

/// Keeps what the forge told about the credential on the way.
async fn learn(platform: &Platform, credential: CredentialId, access: &ForgeByName) -> Result<(), StepError> {
    let login = match access.provider.me().await {
        Ok(me) => Some(me.login),
        // An App without all its rights can't be asked; nothing depends on the name.
        Err(ForgeError::AppUnusable { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let learnt = Learnt { login: login.as_deref(), expires_at: access.provider.credential_expires_at() };
    Ok(credentials::learn(&mut *platform.store.acquire().await?, credential, learnt).await?)
}
