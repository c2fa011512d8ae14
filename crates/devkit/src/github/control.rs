//! Turning knobs, in process or through `POST /_standin/knobs`.

use super::{
    access::{At, Caller, RepoName},
    error::ApiError,
    forge::Forge,
    knobs::Knob,
    ops::repos::{self, EditRepo},
    state::Role,
};

/// Turns one knob.
pub(crate) async fn turn(forge: &Forge, knob: Knob) -> Result<(), ApiError> {
    match knob {
        Knob::Fault(fault) => forge.knobs.add_fault(fault),
        Knob::Deliveries(fault) => forge.knobs.add_delivery_fault(fault),
        Knob::HooksOffline { offline } => forge.knobs.set_offline(offline),
        Knob::DistinctGuids { distinct } => forge.write(|tx| {
            tx.model.distinct_guids = distinct;
            Ok(())
        })?,
        Knob::PushLosesRace { repository, by, times } => {
            let name = RepoName::parse(&repository)?;
            let (repo, by) = forge.read(|view| {
                let repo = view.model.repo(&name.owner, &name.name).ok_or(ApiError::NotFound)?;
                let by = view.model.user(&by).ok_or(ApiError::NotFound)?;
                Ok::<_, ApiError>((repo.id, by.id))
            })?;
            forge.knobs.add_race(repo, by, times);
        }
        Knob::RenameRepository { repository, name } => {
            let at = as_admin(forge, &repository)?;
            repos::edit(forge, &at, EditRepo { name: Some(name), ..EditRepo::default() }).await?;
        }
        Knob::RevokeTokens { login } => forge.write(|tx| {
            let user = tx.model.user(&login).ok_or(ApiError::NotFound)?.id;
            let tokens = tx.model.tokens.values_mut();
            tokens.filter(|token| token.user == user).for_each(|token| token.revoked = true);
            Ok(())
        })?,
        Knob::InstallationTokenLife { seconds } => forge.write(|tx| {
            tx.model.installation_token_life = seconds;
            Ok(())
        })?,
        Knob::SuspendInstallation { installation, suspended } => forge.write(|tx| {
            tx.model.installations.get_mut(&installation).ok_or(ApiError::NotFound)?.suspended = suspended;
            Ok(())
        })?,
        Knob::AdvanceClock { seconds } => forge.clock.advance(seconds),
        Knob::Clear => forge.knobs.clear(),
    }
    Ok(())
}

/// Somebody who administers the repository: the first such collaborator, else its owner.
pub(crate) fn as_admin(forge: &Forge, repository: &str) -> Result<At, ApiError> {
    let name = RepoName::parse(repository)?;
    let user = forge.read(|view| {
        let repo = view.model.repo(&name.owner, &name.name).ok_or(ApiError::NotFound)?;
        let mut people = repo.collaborators.iter();
        let admin = people.find(|(_, role)| **role == Role::Admin).map(|(user, _)| *user);
        Ok::<_, ApiError>(admin.unwrap_or(repo.owner))
    })?;
    Ok(At { caller: Caller(Some(user)), repo: name })
}
