//! The facts of a run, loaded once at the start of an activity.

use domain::{
    agents::{self, Agent},
    ids::ProjectSlug,
    run::Step,
    services_yaml::ServicesYaml,
};
use jobs::JobRef;
use serde::{Deserialize, Serialize};
use store::{
    repositories::{self, Repository},
    runs::{self, Run},
    steps,
};
use workflows::messages::RunRef;

use crate::{failure::StepError, forge_access::ForgeRepo, platform::Platform, progress};

/// A run and its repository.
pub struct RunContext {
    /// Which attempt.
    pub at: RunRef,
    /// The row.
    pub run: Run,
    /// The repository's row.
    pub repository: Repository,
}

/// What cloning found out; kept as the output of [`Step::Clone`] for the steps after it and for later attempts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cloned {
    /// The pinned base commit.
    pub base_sha: String,
    /// Branch that the base is the head of.
    pub base_branch: String,
    /// The project's settings at the base.
    pub config: ServicesYaml,
    /// Seconds the Job may take in all.
    pub job_secs: u64,
    /// Key of what set-up leaves behind, where the project wants it kept.
    #[serde(default)]
    pub setup_key: Option<String>,
}

impl RunContext {
    /// Loads the rows.
    ///
    /// # Errors
    /// When the database is away or knows no such run.
    pub async fn load(platform: &Platform, at: RunRef) -> Result<Self, StepError> {
        let mut conn = platform.store.acquire().await?;
        let run = runs::get(&mut conn, at.run).await?;
        let repository = repositories::get(&mut conn, run.repository_id).await?;
        Ok(Self { at, run, repository })
    }

    /// Names the attempt's Job.
    #[must_use]
    pub fn job(&self) -> JobRef {
        let project = ProjectSlug::new(self.repository.project_slug.clone());
        JobRef { project, run: self.at.run, attempt: self.at.attempt }
    }

    /// Opens the way to the forge.
    ///
    /// # Errors
    /// See [`crate::forge_access::ForgeAccess::open`].
    pub async fn forge(&self, platform: &Platform) -> Result<ForgeRepo, StepError> {
        platform.forge.open(&self.repository).await
    }

    /// What cloning found out.
    ///
    /// # Errors
    /// When this attempt has not cloned.
    pub async fn cloned(&self, platform: &Platform) -> Result<Cloned, StepError> {
        let mut conn = platform.store.acquire().await?;
        let output = steps::output(&mut conn, progress::key(self.at, Step::Clone)).await?;
        let output = output.ok_or_else(|| StepError::fatal("order", "the repository was not cloned yet"))?;
        serde_json::from_value(output).map_err(|error| StepError::fatal("store_corrupt", error.to_string()))
    }

    /// The agent that does the work, by the settings at the base.
    ///
    /// # Errors
    /// When the project no longer has it.
    pub fn agent(&self, config: &ServicesYaml) -> Result<Agent, StepError> {
        agents::find(config, self.run.agent.as_str())
            .ok_or_else(|| StepError::fatal("agent_unknown", domain::sentences::agent_not_at_base(&self.run.agent)))
    }
}
