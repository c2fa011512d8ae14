//! What all those have in common that look again and again for what was left behind: the pause between two looks, and what the
//! engine says of a workflow that should be at work.

use std::{fmt::Display, time::Duration};

use dispatch::{
    Termination,
    engine::{TERMINATED, WorkflowState},
};
use domain::sentences;

use crate::{failure::StepError, platform::Platform};

/// Longest name or reason that is taken over from the engine, in characters.
const MAX_WORDS: usize = 200;

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
        Ok(WorkflowState::Closed { status: TERMINATED }) => terminated(platform, workflow_id).await,
        Ok(WorkflowState::Closed { status }) => Seen::Gone(sentences::workflow_ended(status)),
        Ok(WorkflowState::Unknown) => Seen::Gone(sentences::workflow_unknown().to_owned()),
        Err(error) => {
            tracing::debug!(workflow_id, %error, "the engine can't be asked");
            Seen::Unasked
        }
    }
}

/// By whom, and why. Without the answer nothing is settled: it is asked for once more at the next look.
async fn terminated(platform: &Platform, workflow_id: &str) -> Seen {
    match platform.dispatcher.engine().termination(workflow_id).await {
        Ok(termination) => Seen::Gone(sentence(termination.as_ref())),
        Err(error) => {
            tracing::debug!(workflow_id, %error, "the engine can't be asked who ended a workflow");
            Seen::Unasked
        }
    }
}

fn sentence(termination: Option<&Termination>) -> String {
    let by = termination.and_then(|termination| termination.by.as_deref());
    let by = by.map(one_line);
    let reason = termination.map(|termination| one_line(&termination.reason)).filter(|reason| !reason.is_empty());
    match (by, reason.as_deref().map(|reason| reason.trim_end_matches('.'))) {
        (Some(by), Some(reason)) => sentences::workflow_terminated_by_for(by, reason),
        (Some(by), None) => sentences::workflow_terminated_by(by),
        (None, Some(reason)) => sentences::workflow_terminated_for(reason),
        (None, None) => sentences::workflow_terminated().to_owned(),
    }
}

/// Words that an operator typed: as much of them as fits a sentence.
fn one_line(words: &str) -> String {
    let words: Vec<&str> = words.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect()
}

/// Whether commands for a workflow are still to be delivered: a start among them explains one that the engine does not know.
pub(crate) async fn is_on_its_way(platform: &Platform, workflow_id: &str) -> Result<bool, StepError> {
    let pending = store::commands::pending(&mut *platform.store.acquire().await?, workflow_id, 1).await?;
    Ok(!pending.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_ended_a_workflow_is_said_with_the_reason() {
        let told = |by: Option<&str>, reason: &str| {
            sentence(Some(&Termination { by: by.map(str::to_owned), reason: reason.to_owned() }))
        };
        assert_eq!(
            told(Some("ann"), "stuck\n for hours."),
            "Its workflow was terminated by ann in the engine: stuck for hours."
        );
        assert_eq!(told(Some("ann"), " "), "Its workflow was terminated by ann in the engine.");
        assert_eq!(
            told(None, "ended by force by ann"),
            "Its workflow was terminated in the engine: ended by force by ann."
        );
        assert_eq!(sentence(None), "Its workflow was terminated in the engine.");
        assert!(told(Some("ann"), &"x".repeat(5_000)).len() < 300);
    }
}
