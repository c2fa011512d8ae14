//! The scripted model: `MODEL_BIND` is where it listens, `MODEL_KEY` the only key it lets in.

use super::surroundings::{RoleError, asked_to_stop, variable};
use crate::model::{Options, ScriptedModel};

pub(super) async fn run() -> Result<(), RoleError> {
    let options = Options {
        bind: variable("MODEL_BIND")?,
        api_key: variable("MODEL_KEY")?,
        scenario_dir: std::env::var_os("CODEX_K8S_SCENARIOS").map(Into::into),
    };
    let model = ScriptedModel::start(options).await?;
    tracing::info!(url = model.url(), "the scripted model listens");
    asked_to_stop().await?;
    model.shutdown().await;
    Ok(())
}
