//! `DeleteProject`: from a mark to a project of which nothing is left but what was done in it.
//!
//! It is given the id of the project and nothing else. What is deleted stays so: a workflow that was ended in the engine's own UI is
//! begun again by the worker.
#![expect(missing_docs, reason = "the macros of the SDK generate items without documentation")]

use std::time::Duration;

use temporalio_common::ActivityError;
use temporalio_macros::{activity_definitions, workflow, workflow_methods};
use temporalio_workflow::{WorkflowCancellationToken, WorkflowContext, WorkflowContextView, WorkflowResult};

use crate::{
    messages::{ProjectLeft, ProjectRef},
    options,
    timer::timer,
};

/// How long is waited at first until is looked again what is left; each time twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// And no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Declares the side effects of [`DeleteProject`]. Every one is idempotent and may run twice.
pub struct DeleteSteps;

#[activity_definitions]
impl DeleteSteps {
    /// Have every repository detached that is not, its runs cancelled; say whether anything is left.
    #[activity(name = "detach_repositories")]
    pub fn detach_repositories(_: ProjectRef) -> Result<ProjectLeft, ActivityError> {
        unimplemented!()
    }

    /// Take away what the cluster keeps for the project's Jobs.
    #[activity(name = "leave_cluster")]
    pub fn leave_cluster(_: ProjectRef) -> Result<(), ActivityError> {
        unimplemented!()
    }

    /// Nothing is left: store that.
    #[activity(name = "end_deletion")]
    pub fn end_deletion(_: ProjectRef) -> Result<(), ActivityError> {
        unimplemented!()
    }
}

/// The markers that implementations name.
pub mod defs {
    pub use super::delete_steps::{DetachRepositories, EndDeletion, LeaveCluster};
}

/// Deletes one project. See the module's text.
#[workflow]
pub struct DeleteProject {
    input: ProjectRef,
}

#[workflow_methods]
impl DeleteProject {
    /// Takes the input; nothing is done yet.
    #[init]
    pub fn new(_ctx: &WorkflowContextView, input: ProjectRef) -> Self {
        Self { input }
    }

    /// Deletes it.
    #[run(name = "DeleteProject")]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        let input = ctx.state(|s| s.input);
        let scope = ctx.cancellation_token();
        let (mut pause, pausing) = (FIRST_PAUSE, WorkflowCancellationToken::new());
        while !ctx.execute_activity(DeleteSteps::detach_repositories, input, options::quick(&scope)).await?.nothing {
            ctx.timer(timer(pause, &pausing)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        ctx.execute_activity(DeleteSteps::leave_cluster, input, options::forge(&scope)).await?;
        Ok(ctx.execute_activity(DeleteSteps::end_deletion, input, options::quick(&scope)).await?)
    }
}
