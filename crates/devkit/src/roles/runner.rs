//! The runner of a Job that is a process: takes the claim that `CODEX_K8S_JOB_CLAIM` names, so that no Job runs twice; the
//! rest is what [`runner::Settings`] reads.

use std::path::PathBuf;

use super::surroundings::{RoleError, variable};
use crate::launcher::take_claim;

pub(super) async fn run() -> Result<(), RoleError> {
    let failed = |error: anyhow::Error| RoleError::Failed(error);
    let path: PathBuf = variable("CODEX_K8S_JOB_CLAIM")?;
    let Some(_claim) = take_claim(&path).map_err(|error| failed(error.into()))? else {
        tracing::info!("another process has this Job");
        return Ok(());
    };
    let settings = runner::Settings::from_env().map_err(|error| failed(error.into()))?;
    runner::run(settings).await.map_err(|error| failed(error.into()))
}
