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
    sign_in(&forge)?;
    tracing::info!(url = forge.url(), "the stand-in for GitHub listens");
    asked_to_stop().await?;
    forge.shutdown().await.map_err(|error| RoleError::Failed(error.into()))
}

/// Makes the platform known, where people are to sign in to it: `OAUTH_CLIENT_ID`, its secret's file, and `OAUTH_CALLBACK`.
fn sign_in(forge: &StandIn) -> Result<(), RoleError> {
    let Ok(client_id) = std::env::var("OAUTH_CLIENT_ID") else { return Ok(()) };
    let secret_file: PathBuf = variable("OAUTH_CLIENT_SECRET_FILE")?;
    let callback: String = variable("OAUTH_CALLBACK")?;
    let register = || {
        let secret = fs::read_to_string(&secret_file).with_context(|| format!("read {}", secret_file.display()))?;
        forge.register_oauth_app(&client_id, secret.trim(), &callback)?;
        Ok(())
    };
    register().map_err(RoleError::Failed)
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
