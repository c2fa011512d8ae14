//! Reads `services.yaml` again where a push to the default branch asked for it.
//!
//! A reconciler: no input, idempotent, no retries of its own. What it finds out decides which labels and commands start
//! something; a run itself always reads the file at its own base commit.

use std::time::Duration;

use domain::services_yaml::{FILE_NAME, ServicesYaml};
use forge::{CommitSha, git::Git};
use store::{
    repositories::{self, Repository},
    repository_events, slots,
};

use crate::{
    agent_versions::{self, Place},
    failure::StepError,
    platform::Platform,
    project_schedules::{self, Tell},
    slot_grants,
    sweeps::pause_after,
};

/// How often is looked. A changed setting may take this long to count.
const PERIOD: Duration = Duration::from_secs(2);

/// Looks again and again until dropped; at first, whether this program makes other agents of the settings than the one before.
pub async fn keep(platform: &Platform) {
    while let Err(error) = agent_versions::note_all(platform).await {
        pause_after(Err::<(), _>(error), "versions of agents", PERIOD).await;
    }
    loop {
        pause_after(sweep(platform).await, "settings that were wanted anew", PERIOD).await;
    }
}

/// Reads what is wanted once. One repository's trouble does not hold up the others.
///
/// # Errors
/// When the database is away.
pub async fn sweep(platform: &Platform) -> Result<usize, StepError> {
    let wanted = repository_events::wanting_config(&mut *platform.store.acquire().await?).await?;
    for (id, sha) in &wanted {
        let repository = repositories::get(&mut *platform.store.acquire().await?, *id).await?;
        if let Err(error) = refresh(platform, &repository, sha).await {
            tracing::warn!(repository = repository.full_name(), error = %error, "settings could not be read");
        }
    }
    Ok(wanted.len())
}

async fn refresh(platform: &Platform, repository: &Repository, sha: &str) -> Result<(), StepError> {
    let commit: CommitSha = sha.parse().map_err(|_| StepError::fatal("sha", format!("`{sha}` is no commit")))?;
    let forge = platform.forge.open(repository).await?;
    let git = Git::default();
    let mirror = platform.mirrors.fetch(&git, repository.id, &forge).await?;
    let text = git.show_file(&mirror, &commit, FILE_NAME).await?;
    store(platform, repository, text.as_deref(), sha).await
}

/// Stores the settings as they were at a commit; none if the file is not there. More slots let waiting runs go on.
///
/// # Errors
/// When the database is away.
pub async fn store(
    platform: &Platform,
    repository: &Repository,
    text: Option<&[u8]>,
    sha: &str,
) -> Result<(), StepError> {
    let read = text.map(read).transpose();
    let mut tx = platform.store.begin().await?;
    let mut woken = Vec::new();
    match read {
        Ok(config) => {
            let slots = config.as_ref().and_then(|config| u32::try_from(config["slots"].as_u64()?).ok());
            let place = Place {
                repository: repository.id,
                sha: Some(sha).filter(|sha| agent_versions::is_commit(sha)),
                now: platform.now(),
            };
            let read = config.clone().and_then(|config| serde_json::from_value(config).ok()).unwrap_or_default();
            agent_versions::note(&mut tx, place, &read).await?;
            repositories::set_config(&mut tx, repository.id, config, sha, None).await?;
            if let Some(slots) = slots {
                repositories::set_slots(&mut tx, repository.project, slots).await?;
                let grants = slots::grant_waiting(&mut tx, repository.project, platform.now()).await?;
                woken = slot_grants::signal(platform, &mut tx, grants).await?;
            }
        }
        Err(problem) => repositories::set_config(&mut tx, repository.id, None, sha, Some(&problem)).await?,
    }
    tx.commit().await.map_err(store::StoreError::from)?;
    slot_grants::deliver(platform, woken);
    tell_schedules(platform, repository).await
}

/// What the engine does not take now, a reconciler tells it again.
async fn tell_schedules(platform: &Platform, repository: &Repository) -> Result<(), StepError> {
    let fresh = repositories::get(&mut *platform.store.acquire().await?, repository.id).await?;
    if let Err(error) = project_schedules::sync(platform, &fresh, Tell::Changes).await {
        tracing::warn!(repository = fresh.full_name(), error = %error, "schedules can't be told to the engine yet");
    }
    Ok(())
}

/// The settings as they are stored, or every problem with them in words.
///
/// # Errors
/// What is wrong with the file.
pub fn read(bytes: &[u8]) -> Result<serde_json::Value, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| format!("{FILE_NAME} is not UTF-8"))?;
    let config = ServicesYaml::parse(text).map_err(|problems| problems.to_string())?;
    serde_json::to_value(config).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_told_in_words() {
        assert!(read(b"version: 1\n").is_ok());
        let problem = read(b"version: 1\nchekcs: []\n").unwrap_err();
        assert!(problem.contains("chekcs"), "{problem}");
        assert!(read(&[0xff]).is_err());
    }
}
