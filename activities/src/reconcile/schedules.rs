//! The schedules of the reconcilers, put in place when a worker starts: made, or changed into what they should be.

use std::time::Duration;

use dispatch::{EngineError, Schedule, When};
use domain::{hook_log::WebhookMode, reconciler::Reconciler, workflow_id};
use serde_json::json;
use workflows::options::LOOK_LIMIT;

use crate::platform::Platform;

/// How often it is tried again while the engine does not take them.
const RETRY: Duration = Duration::from_secs(5);

/// What could not be dropped because somebody held it is tried again soon.
const RETENTION_PERIOD: Duration = Duration::from_secs(60 * 60);

/// A look at the present state that was missed a while ago is no use any more.
const CATCH_UP: Duration = Duration::from_secs(60);

/// What the settings want is told at once when they are read; this is for an engine that was away then, or has forgotten.
const PROJECT_SCHEDULES_PERIOD: Duration = Duration::from_secs(10 * 60);

/// A Job that nobody needs costs money, and nothing else.
const STRAY_JOBS_PERIOD: Duration = Duration::from_secs(2 * 60);

/// Partitions are made weeks ahead, so an hour more or less does not matter.
const PARTITIONS_PERIOD: Duration = Duration::from_secs(60 * 60);

/// Puts all of them in place, however long the engine takes to let it.
pub async fn put_in_place(platform: &Platform) {
    while let Err(error) = put(platform).await {
        tracing::warn!(error = %error, "the schedules of the reconcilers could not be put in place");
        tokio::time::sleep(RETRY).await;
    }
}

async fn put(platform: &Platform) -> Result<(), EngineError> {
    let engine = platform.dispatcher.engine();
    for name in Reconciler::ALL {
        let schedule = Schedule {
            id: &workflow_id::reconcile(platform.dispatcher.instance(), *name),
            when: When::Every(period(*name, platform.webhooks)),
            workflow_type: "Reconcile",
            input: &json!({ "name": name }),
            limit: LOOK_LIMIT * 2,
            catch_up: CATCH_UP,
        };
        engine.put_schedule(&schedule).await?;
    }
    Ok(())
}

fn period(of: Reconciler, webhooks: WebhookMode) -> Duration {
    match of {
        Reconciler::PartitionsAhead => PARTITIONS_PERIOD,
        Reconciler::MissedDeliveries => webhooks.tick(),
        Reconciler::ProjectSchedules => PROJECT_SCHEDULES_PERIOD,
        Reconciler::Retention => RETENTION_PERIOD,
        Reconciler::StrayJobs => STRAY_JOBS_PERIOD,
    }
}
