//! Reconcilers: they read the real state and repair. No input, idempotent, no retries of their own: each look begins anew.
//!
//! Schedules of the engine start them; [`schedules`] puts those in place.
#![expect(missing_docs, reason = "the macros of the SDK generate items without documentation")]

mod missed_deliveries;
mod partitions_ahead;
mod retention;
pub mod schedules;
mod stray_jobs;

pub use self::retention::Retention;
pub(crate) use self::retention::UNNAMED_FOR;

use std::sync::Arc;

use domain::reconciler::Reconciler;
use store::reconcilers;
use temporalio_common::ActivityError;
use temporalio_macros::activities;
use temporalio_sdk::activities::ActivityContext;
use workflows::reconcile::{Finding, Reconciliation};

use crate::{
    beat::{OnCancel, beating},
    failure::StepError,
    platform::Platform,
    project_schedules,
};

/// Implements [`workflows::reconcile::ReconcileSteps`].
pub struct ReconcileActivities {
    /// What they have at hand.
    pub platform: Arc<Platform>,
}

#[activities]
impl ReconcileActivities {
    #[activity(definition = workflows::reconcile::defs::Reconcile)]
    pub async fn reconcile(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: Reconciliation,
    ) -> Result<Finding, ActivityError> {
        beating(&ctx, OnCancel::Stop, look(&self.platform, input.name)).await
    }
}

/// Looks once, and writes down what was found.
///
/// # Errors
/// Those of looking; the next moment of the schedule is the next try.
pub async fn look(platform: &Platform, name: Reconciler) -> Result<Finding, StepError> {
    reconcilers::begin(&mut *platform.store.acquire().await?, name, platform.now()).await?;
    let found = match name {
        Reconciler::PartitionsAhead => partitions_ahead::run(platform).await,
        Reconciler::MissedDeliveries => missed_deliveries::run(platform).await,
        Reconciler::Retention => retention::run(platform).await,
        Reconciler::StrayJobs => stray_jobs::run(platform).await,
        Reconciler::ProjectSchedules => project_schedules::sync_all(platform)
            .await
            .map(|synced| format!("told the engine of {} schedules, took {} away", synced.put, synced.deleted)),
    };
    let problem = found.as_ref().err().map(ToString::to_string);
    let told = found.as_deref().map_err(|_| problem.as_deref().unwrap_or_default());
    reconcilers::end(&mut *platform.store.acquire().await?, name, told, platform.now()).await?;
    Ok(Finding { text: found? })
}
