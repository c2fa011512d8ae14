//! The activities of a run, declared. Names lie in histories: never change one.
#![expect(missing_docs, reason = "the macros of the SDK generate items without documentation")]

use domain::job::JobPresence;
use temporalio_common::ActivityError;
use temporalio_macros::activity_definitions;

use crate::messages::{
    Authorised, CancelCheck, JobEnd, RunEnd, RunRef, Settlement, Shown, SlotClaim, TurnToShow, Verdict, Workspace,
};

/// Declares the side effects of [`crate::AgentRun`]. Every one is idempotent and may run twice.
pub struct RunSteps;

#[activity_definitions]
impl RunSteps {
    /// May the sender have this run?
    #[activity(name = "authorise")]
    pub fn authorise(_: RunRef) -> Result<Authorised, ActivityError> {
        unimplemented!()
    }

    /// May this person cancel the run?
    #[activity(name = "authorise_cancel")]
    pub fn authorise_cancel(_: CancelCheck) -> Result<Authorised, ActivityError> {
        unimplemented!()
    }

    /// Take a slot or a place in the queue.
    #[activity(name = "claim_slot")]
    pub fn claim_slot(_: RunRef) -> Result<SlotClaim, ActivityError> {
        unimplemented!()
    }

    /// Mirror, pin the base, read `services.yaml`, pack the workspace.
    #[activity(name = "prepare_workspace")]
    pub fn prepare_workspace(_: RunRef) -> Result<Workspace, ActivityError> {
        unimplemented!()
    }

    /// Render the prompt and store it.
    #[activity(name = "write_prompt")]
    pub fn write_prompt(_: RunRef) -> Result<(), ActivityError> {
        unimplemented!()
    }

    /// Start the Job, unless it was started. After a try in doubt see `find_job`.
    #[activity(name = "launch_job")]
    pub fn launch_job(_: RunRef) -> Result<(), ActivityError> {
        unimplemented!()
    }

    /// What became of a launch whose answer was lost.
    #[activity(name = "find_job")]
    pub fn find_job(_: RunRef) -> Result<JobPresence, ActivityError> {
        unimplemented!()
    }

    /// Ends when the Job's report is stored, or the Job is gone without one.
    #[activity(name = "watch_job")]
    pub fn watch_job(_: RunRef) -> Result<JobEnd, ActivityError> {
        unimplemented!()
    }

    /// End the Job: gracefully, then by force. Fine if there is none.
    #[activity(name = "stop_job")]
    pub fn stop_job(_: RunRef) -> Result<(), ActivityError> {
        unimplemented!()
    }

    /// Judge the outcome from the evidence.
    #[activity(name = "collect")]
    pub fn collect(_: RunRef) -> Result<Verdict, ActivityError> {
        unimplemented!()
    }

    /// Verify, scan, push, open or update the pull request; or post the review or the answer.
    #[activity(name = "publish")]
    pub fn publish(_: RunRef) -> Result<RunEnd, ActivityError> {
        unimplemented!()
    }

    /// When may the run be shown on the forge?
    #[activity(name = "turn_to_show")]
    pub fn turn_to_show(_: RunRef) -> Result<TurnToShow, ActivityError> {
        unimplemented!()
    }

    /// Show the stored state on the forge: sticky comment, label, commit status.
    #[activity(name = "show_state")]
    pub fn show_state(_: RunRef) -> Result<Shown, ActivityError> {
        unimplemented!()
    }

    /// Store the end, release the slot, wake the next.
    #[activity(name = "settle")]
    pub fn settle(_: Settlement) -> Result<(), ActivityError> {
        unimplemented!()
    }

    /// Move the output of the Job from rows into the object store.
    #[activity(name = "archive_logs")]
    pub fn archive_logs(_: RunRef) -> Result<(), ActivityError> {
        unimplemented!()
    }

    /// Keep the engine's history beyond its retention.
    #[activity(name = "archive_history")]
    pub fn archive_history(_: RunRef) -> Result<(), ActivityError> {
        unimplemented!()
    }
}

/// The markers that implementations name.
pub mod defs {
    pub use super::run_steps::{
        ArchiveHistory, ArchiveLogs, Authorise, AuthoriseCancel, ClaimSlot, Collect, FindJob, LaunchJob,
        PrepareWorkspace, Publish, Settle, ShowState, StopJob, TurnToShow, WatchJob, WritePrompt,
    };
}
