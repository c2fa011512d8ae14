//! Notes what the settings of a repository make of each agent: what changed is a new version. What a run works by is fixed when it
//! begins, by the settings at its own base.

use chrono::{DateTime, Utc};
use domain::{
    agents::{self, Agent},
    ids::RepositoryId,
    services_yaml::ServicesYaml,
};
use store::{
    PgConnection, StoreError,
    agent_versions::{self, SeenDefinition},
    repositories,
};

use crate::{failure::StepError, platform::Platform, project_schedules::config, run_context::RunContext};

/// Where settings were read.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The repository.
    pub repository: RepositoryId,
    /// The commit, as far as one is known.
    pub sha: Option<&'a str>,
    /// Now.
    pub now: DateTime<Utc>,
}

/// Notes every agent of the settings of the default branch. To be done in a transaction.
///
/// # Errors
/// The database fails.
pub async fn note(conn: &mut PgConnection, place: Place<'_>, config: &ServicesYaml) -> Result<(), StoreError> {
    for name in agents::names(config) {
        let Some(agent) = agents::find(config, name.as_str()) else { continue };
        agent_versions::note(conn, seen(place, &agent, &agent.definition())).await?;
    }
    Ok(())
}

/// The same for every repository: the platform itself may have other templates than before.
///
/// # Errors
/// When the database is away.
pub async fn note_all(platform: &Platform) -> Result<usize, StepError> {
    let all = repositories::list(&mut *platform.store.acquire().await?).await?;
    for repository in &all {
        let sha = repository.config_sha.as_deref().filter(|sha| is_commit(sha));
        let place = Place { repository: repository.id, sha, now: platform.now() };
        let mut tx = platform.store.begin().await?;
        note(&mut tx, place, &config(repository)).await?;
        tx.commit().await.map_err(StoreError::from)?;
    }
    Ok(all.len())
}

/// The version that a run's agent is, by the settings at the run's base.
///
/// # Errors
/// When the database is away.
pub(crate) async fn of_run(
    platform: &Platform,
    context: &RunContext,
    (agent, base_sha): (&Agent, &str),
) -> Result<u32, StepError> {
    let place = Place { repository: context.repository.id, sha: Some(base_sha), now: platform.now() };
    let mut tx = platform.store.begin().await?;
    let version = agent_versions::find_or_note(&mut tx, seen(place, agent, &agent.definition())).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(version)
}

/// Whether that is a commit, and not the word that stands for the branch as it was.
#[must_use]
pub fn is_commit(sha: &str) -> bool {
    sha.parse::<forge::CommitSha>().is_ok()
}

fn seen<'a>(place: Place<'a>, agent: &'a Agent, definition: &'a agents::Definition) -> SeenDefinition<'a> {
    let Place { repository, sha, now } = place;
    SeenDefinition { repository, agent: &agent.name, definition, sha, now }
}
