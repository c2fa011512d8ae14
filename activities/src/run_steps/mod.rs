//! The activities of a run. This file ties each declaration to the file that does it.
#![expect(missing_docs, reason = "the macros of the SDK generate items without documentation")]

pub mod archive_history;
pub mod archive_logs;
pub mod authorise;
pub mod authorise_cancel;
pub mod claim_slot;
pub mod collect;
mod failing_checks;
pub mod find_job;
mod keep_diff;
pub mod launch_job;
mod model_policy;
mod model_waits;
pub mod prepare_workspace;
pub mod publish;
pub mod settle;
mod setup_cache;
pub mod show_state;
pub mod stop_job;
pub mod turn_to_show;
pub mod watch_job;
pub mod write_prompt;

use std::sync::Arc;

use domain::job::JobPresence;
use temporalio_common::ActivityError;
use temporalio_macros::activities;
use temporalio_sdk::activities::ActivityContext;
use workflows::messages::{
    Authorised, CancelCheck, JobEnd, RunEnd, RunRef, Settlement, Shown, SlotClaim, TurnToShow, Verdict, Workspace,
};

use crate::{
    beat::{OnCancel, beating},
    platform::Platform,
};

/// Implements [`workflows::steps::RunSteps`].
pub struct RunActivities {
    /// What they have at hand.
    pub platform: Arc<Platform>,
}

#[activities]
impl RunActivities {
    #[activity(definition = workflows::steps::defs::Authorise)]
    pub async fn authorise(self: Arc<Self>, ctx: ActivityContext, at: RunRef) -> Result<Authorised, ActivityError> {
        beating(&ctx, OnCancel::Stop, authorise::run(&self.platform, at)).await
    }

    #[activity(definition = workflows::steps::defs::AuthoriseCancel)]
    pub async fn authorise_cancel(
        self: Arc<Self>,
        ctx: ActivityContext,
        check: CancelCheck,
    ) -> Result<Authorised, ActivityError> {
        beating(&ctx, OnCancel::Stop, authorise_cancel::run(&self.platform, &check)).await
    }

    #[activity(definition = workflows::steps::defs::ClaimSlot)]
    pub async fn claim_slot(self: Arc<Self>, ctx: ActivityContext, at: RunRef) -> Result<SlotClaim, ActivityError> {
        beating(&ctx, OnCancel::Stop, claim_slot::run(&self.platform, at)).await
    }

    #[activity(definition = workflows::steps::defs::PrepareWorkspace)]
    pub async fn prepare_workspace(
        self: Arc<Self>,
        ctx: ActivityContext,
        at: RunRef,
    ) -> Result<Workspace, ActivityError> {
        beating(&ctx, OnCancel::Stop, prepare_workspace::run(&self.platform, at)).await
    }

    #[activity(definition = workflows::steps::defs::WritePrompt)]
    pub async fn write_prompt(self: Arc<Self>, ctx: ActivityContext, at: RunRef) -> Result<(), ActivityError> {
        beating(&ctx, OnCancel::Stop, write_prompt::run(&self.platform, at)).await
    }

    #[activity(definition = workflows::steps::defs::LaunchJob)]
    pub async fn launch_job(self: Arc<Self>, ctx: ActivityContext, at: RunRef) -> Result<(), ActivityError> {
        beating(&ctx, OnCancel::Finish, launch_job::run(&self.platform, at)).await
    }

    #[activity(definition = workflows::steps::defs::FindJob)]
    pub async fn find_job(self: Arc<Self>, ctx: ActivityContext, at: RunRef) -> Result<JobPresence, ActivityError> {
        beating(&ctx, OnCancel::Stop, find_job::run(&self.platform, at)).await
    }

    #[activity(definition = workflows::steps::defs::WatchJob)]
    pub async fn watch_job(self: Arc<Self>, ctx: ActivityContext, at: RunRef) -> Result<JobEnd, ActivityError> {
        let watched = async {
            tokio::select! {
                end = watch_job::run(&self.platform, at) => end,
                never = model_waits::watch(&self.platform, at) => match never {},
            }
        };
        beating(&ctx, OnCancel::StopAndMove, watched).await
    }

    #[activity(definition = workflows::steps::defs::StopJob)]
    pub async fn stop_job(self: Arc<Self>, ctx: ActivityContext, at: RunRef) -> Result<(), ActivityError> {
        beating(&ctx, OnCancel::Finish, stop_job::run(&self.platform, at)).await
    }

    #[activity(definition = workflows::steps::defs::Collect)]
    pub async fn collect(self: Arc<Self>, ctx: ActivityContext, at: RunRef) -> Result<Verdict, ActivityError> {
        beating(&ctx, OnCancel::Stop, collect::run(&self.platform, at)).await
    }

    #[activity(definition = workflows::steps::defs::Publish)]
    pub async fn publish(self: Arc<Self>, ctx: ActivityContext, at: RunRef) -> Result<RunEnd, ActivityError> {
        beating(&ctx, OnCancel::Finish, publish::run(&self.platform, at)).await
    }

    #[activity(definition = workflows::steps::defs::TurnToShow)]
    pub async fn turn_to_show(self: Arc<Self>, ctx: ActivityContext, at: RunRef) -> Result<TurnToShow, ActivityError> {
        beating(&ctx, OnCancel::Stop, turn_to_show::run(&self.platform, at)).await
    }

    #[activity(definition = workflows::steps::defs::ShowState)]
    pub async fn show_state(self: Arc<Self>, ctx: ActivityContext, at: RunRef) -> Result<Shown, ActivityError> {
        beating(&ctx, OnCancel::Finish, show_state::run(&self.platform, at)).await
    }

    #[activity(definition = workflows::steps::defs::Settle)]
    pub async fn settle(self: Arc<Self>, ctx: ActivityContext, settlement: Settlement) -> Result<(), ActivityError> {
        beating(&ctx, OnCancel::Finish, settle::run(&self.platform, &settlement)).await
    }

    #[activity(definition = workflows::steps::defs::ArchiveLogs)]
    pub async fn archive_logs(self: Arc<Self>, ctx: ActivityContext, at: RunRef) -> Result<(), ActivityError> {
        beating(&ctx, OnCancel::Finish, archive_logs::run(&self.platform, at)).await
    }

    #[activity(definition = workflows::steps::defs::ArchiveHistory)]
    pub async fn archive_history(self: Arc<Self>, ctx: ActivityContext, at: RunRef) -> Result<(), ActivityError> {
        beating(&ctx, OnCancel::Finish, archive_history::run(&self.platform, at)).await
    }
}
