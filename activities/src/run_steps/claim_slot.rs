//! Take a slot, or a place in the queue.

use domain::run::{RunState, Step};
use store::{
    slots::{self, SlotAnswer},
    steps,
};
use workflows::messages::{RunRef, SlotClaim};

use crate::{failure::StepError, platform::Platform, progress, run_context::RunContext};

/// Takes a slot, or a place in the queue.
///
/// # Errors
/// See [`StepError`].
pub async fn run(platform: &Platform, at: RunRef) -> Result<SlotClaim, StepError> {
    let context = RunContext::load(platform, at).await?;
    let now = platform.now();
    let mut tx = platform.store.begin().await?;
    let claim = match slots::claim(&mut tx, at.run, at.attempt, context.run.project_id, now).await? {
        SlotAnswer::Granted => SlotClaim { granted: true, place: 0 },
        SlotAnswer::Waiting { place } => SlotClaim { granted: false, place },
        SlotAnswer::Over => {
            return Err(StepError::fatal("slot_over", domain::sentences::slot_over()));
        }
    };
    let state = if claim.granted { RunState::Working } else { RunState::Waiting };
    progress::enter(platform, &mut tx, at, (state, Step::Slot)).await?;
    if claim.granted {
        steps::done(&mut tx, progress::key(at, Step::Slot), &serde_json::json!(claim), now).await?;
    }
    tx.commit().await.map_err(store::StoreError::from)?;
    Ok(claim)
}
