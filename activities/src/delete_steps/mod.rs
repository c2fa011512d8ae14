//! The activities of deleting a project. This file ties each declaration to the file that does it.
#![expect(missing_docs, reason = "the macros of the SDK generate items without documentation")]

mod detach_repositories;
mod end_deletion;
mod leave_cluster;

use std::sync::Arc;

use temporalio_common::ActivityError;
use temporalio_macros::activities;
use temporalio_sdk::activities::ActivityContext;
use workflows::messages::{ProjectLeft, ProjectRef};

use crate::{
    beat::{OnCancel, beating},
    platform::Platform,
};

/// Implements [`workflows::delete_project::DeleteSteps`].
pub struct DeleteActivities {
    /// What they have at hand.
    pub platform: Arc<Platform>,
}

#[activities]
impl DeleteActivities {
    #[activity(definition = workflows::delete_project::defs::DetachRepositories)]
    pub async fn detach_repositories(
        self: Arc<Self>,
        ctx: ActivityContext,
        at: ProjectRef,
    ) -> Result<ProjectLeft, ActivityError> {
        beating(&ctx, OnCancel::Finish, detach_repositories::run(&self.platform, at.project)).await
    }

    #[activity(definition = workflows::delete_project::defs::LeaveCluster)]
    pub async fn leave_cluster(self: Arc<Self>, ctx: ActivityContext, at: ProjectRef) -> Result<(), ActivityError> {
        beating(&ctx, OnCancel::Stop, leave_cluster::run(&self.platform, at.project)).await
    }

    #[activity(definition = workflows::delete_project::defs::EndDeletion)]
    pub async fn end_deletion(self: Arc<Self>, ctx: ActivityContext, at: ProjectRef) -> Result<(), ActivityError> {
        beating(&ctx, OnCancel::Finish, end_deletion::run(&self.platform, at.project)).await
    }
}
