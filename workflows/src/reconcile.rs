//! `Reconcile`: one look of a reconciler, started by a schedule of the engine.
//!
//! It has no retries of its own: the next moment of the schedule is the next try. The engine shows each look, how long it
//! took and what it found.
#![expect(missing_docs, reason = "the macros of the SDK generate items without documentation")]

use domain::reconciler::Reconciler;
use serde::{Deserialize, Serialize};
use temporalio_common::ActivityError;
use temporalio_macros::{activity_definitions, workflow, workflow_methods};
use temporalio_workflow::{WorkflowContext, WorkflowContextView, WorkflowResult};

use crate::options;

/// Input of [`Reconcile`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciliation {
    /// Who looks.
    pub name: Reconciler,
}

/// What a look found and did, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The sentence.
    pub text: String,
}

/// Declares the side effect of [`Reconcile`].
pub struct ReconcileSteps;

#[activity_definitions]
impl ReconcileSteps {
    /// Look at the real state and repair.
    #[activity(name = "reconcile")]
    pub fn reconcile(_: Reconciliation) -> Result<Finding, ActivityError> {
        unimplemented!()
    }
}

/// The markers that implementations name.
pub mod defs {
    pub use super::reconcile_steps::Reconcile;
}

/// One look. See the module's text.
#[workflow]
pub struct Reconcile {
    input: Reconciliation,
}

#[workflow_methods]
impl Reconcile {
    /// Takes the input; nothing is done yet.
    #[init]
    pub fn new(_ctx: &WorkflowContextView, input: Reconciliation) -> Self {
        Self { input }
    }

    /// Looks once.
    #[run(name = "Reconcile")]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Finding> {
        let input = ctx.state(|s| s.input);
        let options = options::look(&ctx.cancellation_token());
        Ok(ctx.execute_activity(ReconcileSteps::reconcile, input, options).await?)
    }
}
