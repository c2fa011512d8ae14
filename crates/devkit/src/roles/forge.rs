//! The stand-in for GitHub: `FORGE_BIND` is where it listens, `FORGE_DATA_DIR` what it keeps its state in, and
//! `FORGE_TOKENS_FILE` a JSON object of login and token for the accounts of the demo repository.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::Context;

use super::surroundings::{RoleError, asked_to_stop, variable};
use crate::github::{Options, Seed, StandIn};

pub(super) async fn run() -> Result<(), RoleError> {
    let folder: PathBuf = variable("FORGE_DATA_DIR")?;
    let seed = seed(&variable::<PathBuf>("FORGE_TOKENS_FILE")?).map_err(RoleError::Failed)?;
    let options = Options { bind: variable("FORGE_BIND")?, seed: Some(seed), ..Options::new(folder) };
    let forge = StandIn::start(options).await.map_err(|error| RoleError::Failed(error.into()))?;
    tracing::info!(url = forge.url(), "the stand-in for GitHub listens");
    asked_to_stop().await?;
    forge.shutdown().await.map_err(|error| RoleError::Failed(error.into()))
}

/// The demo's accounts with the tokens that the state file tells.
fn seed(tokens_file: &PathBuf) -> anyhow::Result<Seed> {
    let text = fs::read_to_string(tokens_file).with_context(|| format!("read {}", tokens_file.display()))?;
    let mut tokens: BTreeMap<String, String> = serde_json::from_str(&text).context("understand the tokens")?;
    let mut seed = Seed::demo();
    for user in &mut seed.users {
        user.token = tokens.remove(&user.login);
    }
    Ok(seed)
}
