//! What all those have in common that look again and again for what was left behind: the pause between two looks, and what the
//! engine says of a workflow that should be at work.

use std::{fmt::Display, time::Duration};

use dispatch::engine::WorkflowState;

use crate::{failure::StepError, platform::Platform};

/// The pause after a look. A look that failed is told, and the next one is its repetition.
pub(crate) async fn pause_after<T, E: Display>(looked: Result<T, E>, what: &'static str, period: Duration) {
    if let Err(error) = looked {
        tracing::warn!(%error, "{what} could not be looked for");
    }
    tokio::time::sleep(period).await;
}

/// What the engine says of a workflow that should be at work.
pub(crate) enum Seen {
    /// It is.
    AtWork,
    /// It is not, and why, as a sentence. It may still be on its way.
    Gone(String),
    /// The engine can't be asked.
    Unasked,
}

/// Asks the engine.
pub(crate) async fn seen(platform: &Platform, workflow_id: &str) -> Seen {
    match platform.dispatcher.engine().state(workflow_id).await {
        Ok(WorkflowState::Open) => Seen::AtWork,
        Ok(WorkflowState::Closed { status }) => Seen::Gone(format!("Its workflow was ended in the engine ({status}).")),
        Ok(WorkflowState::Unknown) => Seen::Gone("The engine does not know its workflow.".to_owned()),
        Err(error) => {
            tracing::debug!(workflow_id, %error, "the engine can't be asked");
            Seen::Unasked
        }
    }
}

/// Whether commands for a workflow are still to be delivered: a start among them explains one that the engine does not know.
pub(crate) async fn is_on_its_way(platform: &Platform, workflow_id: &str) -> Result<bool, StepError> {
    let pending = store::commands::pending(&mut *platform.store.acquire().await?, workflow_id, 1).await?;
    Ok(!pending.is_empty())
}
