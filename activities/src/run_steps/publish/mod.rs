//! Show the result on the forge: a pull request, a review or an answer.

mod change;
mod replies;
mod words;

use domain::{agents::AgentRole, run::Step};
use workflows::messages::{RunEnd, RunRef};

use super::collect::report;
use crate::{failure::StepError, platform::Platform, progress::recorded, run_context::RunContext};

/// Shows the result on the forge.
///
/// # Errors
/// See [`StepError`].
pub async fn run(platform: &Platform, at: RunRef) -> Result<RunEnd, StepError> {
    let context = RunContext::load(platform, at).await?;
    recorded(platform, at, Step::Publish, publish(platform, &context)).await
}

async fn publish(platform: &Platform, context: &RunContext) -> Result<RunEnd, StepError> {
    let cloned = context.cloned(platform).await?;
    let agent = context.agent(&cloned.config)?;
    let report = report(platform, context.at).await?;
    let forge = context.forge(platform).await?;
    match agent.role() {
        AgentRole::Changes => {
            change::Change { platform, context, cloned: &cloned, agent: &agent, report: &report, forge: &forge }
                .publish()
                .await
        }
        role @ (AgentRole::Review | AgentRole::Answer) => {
            words::Words { platform, context, cloned: &cloned, report: &report, forge: &forge }.publish(role).await
        }
    }
}
