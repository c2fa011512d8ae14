//! What an attempt may ask of the model API: fixed before its Job is launched, by the settings at its base.

use domain::{model::ModelPolicy, services_yaml::ServicesYaml};
use store::model_calls;

use crate::{failure::StepError, platform::Platform, run_context::RunContext};

/// Fixes it. Once more says the same.
pub(super) async fn fix(platform: &Platform, context: &RunContext, config: &ServicesYaml) -> Result<(), StepError> {
    let agent = context.agent(config)?;
    let policy = ModelPolicy {
        models: agent.models,
        limits: platform.budgets.limits(&config.budget),
        record_bodies: config.record_model_bodies,
        agent_secs: u64::from(agent.limits.minutes) * 60,
    };
    let mut conn = platform.store.acquire().await?;
    Ok(model_calls::set_policy(&mut conn, context.at.run, context.at.attempt, &policy).await?)
}
