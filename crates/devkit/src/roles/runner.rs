//! The runner. Of a Job that is a process it takes the claim that `CODEX_K8S_JOB_CLAIM` names, so that no Job runs twice; the rest
//! is what [`runner::Settings`] reads. In a pod it is called with the same words as the production binary.

use std::path::{Path, PathBuf};

use super::surroundings::{RoleError, variable};
use crate::launcher::take_claim;

const JOB_CLAIM: &str = "CODEX_K8S_JOB_CLAIM";

pub(super) async fn run(words: &[String]) -> Result<(), RoleError> {
    let failed = |error: anyhow::Error| RoleError::Failed(error);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => {}
        ["install", to] => {
            return runner::install(Path::new(runner::BUNDLE), Path::new(to)).map_err(|error| failed(error.into()));
        }
        ["await-network"] => {
            let settings = runner::NetworkSettings::from_env().map_err(|error| failed(error.into()))?;
            return runner::await_network(&settings).await.map_err(|error| failed(error.into()));
        }
        _ => return Err(failed(anyhow::anyhow!("the runner knows `install FOLDER` and `await-network`"))),
    }
    // Where there is a pod, its UID is the claim.
    let _claim = match std::env::var_os(JOB_CLAIM) {
        None => None,
        Some(_) => {
            let path: PathBuf = variable(JOB_CLAIM)?;
            let Some(claim) = take_claim(&path).map_err(|error| failed(error.into()))? else {
                tracing::info!("another process has this Job");
                return Ok(());
            };
            Some(claim)
        }
    };
    let settings = runner::Settings::from_env().map_err(|error| failed(error.into()))?;
    runner::run(settings).await.map_err(|error| failed(error.into()))
}
