//! `ScheduledStart`: one moment of a schedule of a project's settings. It puts the moment into the ledger, where it is
//! judged like any event; the run that may follow is a workflow of its own.
#![expect(missing_docs, reason = "the macros of the SDK generate items without documentation")]

use domain::ids::RepositoryId;
use serde::{Deserialize, Serialize};
use temporalio_common::ActivityError;
use temporalio_macros::{activity_definitions, workflow, workflow_methods};
use temporalio_workflow::{WorkflowContext, WorkflowContextView, WorkflowResult};

use crate::options;

/// Which schedule. Everything else is read from the project's settings at that moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleRef {
    /// Whose settings.
    pub repository: RepositoryId,
    /// Its name there.
    pub name: String,
}

/// What became of the moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The verdict's sentence, or why there is none.
    pub reason: String,
}

/// Declares the side effect of [`ScheduledStart`].
pub struct ScheduleSteps;

#[activity_definitions]
impl ScheduleSteps {
    /// Find or open the schedule's issue, and put the moment into the ledger.
    #[activity(name = "start_scheduled")]
    pub fn start_scheduled(_: ScheduleRef) -> Result<Started, ActivityError> {
        unimplemented!()
    }
}

/// The markers that implementations name.
pub mod defs {
    pub use super::schedule_steps::StartScheduled;
}

/// One moment. See the module's text.
#[workflow]
pub struct ScheduledStart {
    input: ScheduleRef,
}

#[workflow_methods]
impl ScheduledStart {
    /// Takes the input; nothing is done yet.
    #[init]
    pub fn new(_ctx: &WorkflowContextView, input: ScheduleRef) -> Self {
        Self { input }
    }

    /// Puts the moment into the ledger.
    #[run(name = "ScheduledStart")]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Started> {
        let input = ctx.state(|s| s.input.clone());
        let options = options::forge(&ctx.cancellation_token());
        Ok(ctx.execute_activity(ScheduleSteps::start_scheduled, input, options).await?)
    }
}
