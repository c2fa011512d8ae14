//! A moment of a schedule: finds or opens the schedule's issue, and puts the moment into the ledger, where it is judged
//! like any event. Whether it starts a run is decided there; a moment that is told twice is one row and one run.
//!
//! Nobody is asked for a permission: the schedule stands in `services.yaml` on the default branch, and who may merge there
//! has decided.
#![expect(missing_docs, reason = "the macros of the SDK generate items without documentation")]

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::{
    event::{self, Event, EventKind, ScheduledMoment, Sender},
    forge_text,
    intent::{self, IntentKind},
    services_yaml::ScheduleConfig,
    triggers::DeliverySource,
    workflow_id,
};
use forge::{Account, Issue, IssueNumber};
use ingest::Arrival;
use serde_json::json;
use store::{
    deliveries,
    intents::{self, NewIntent},
    repositories::{self, Repository},
};
use telemetry::SpanKind;
use temporalio_common::ActivityError;
use temporalio_macros::activities;
use temporalio_sdk::activities::ActivityContext;
use workflows::scheduled_start::{ScheduleRef, Started};

use crate::{
    beat::{OnCancel, beating},
    failure::StepError,
    forge_access::ForgeRepo,
    platform::Platform,
    project_schedules,
};

/// Implements [`workflows::scheduled_start::ScheduleSteps`].
pub struct ScheduleActivities {
    /// What they have at hand.
    pub platform: Arc<Platform>,
}

#[activities]
impl ScheduleActivities {
    #[activity(definition = workflows::scheduled_start::defs::StartScheduled)]
    pub async fn start_scheduled(
        self: Arc<Self>,
        ctx: ActivityContext,
        schedule: ScheduleRef,
    ) -> Result<Started, ActivityError> {
        let workflow = ctx.info().workflow_id.clone().unwrap_or_default();
        beating(&ctx, OnCancel::Finish, run(&self.platform, &schedule, &workflow)).await
    }
}

async fn run(platform: &Platform, of: &ScheduleRef, workflow: &str) -> Result<Started, StepError> {
    let id = workflow_id::project_schedule(platform.dispatcher.instance(), of.repository, &of.name);
    let nominal = nominal(&id, workflow)
        .ok_or_else(|| StepError::fatal("no_moment", format!("`{workflow}` does not end with a time")))?;
    let repository = repositories::get(&mut *platform.store.acquire().await?, of.repository).await?;
    let config = project_schedules::config(&repository);
    let Some(schedule) = config.schedules.into_iter().find(|schedule| schedule.name == of.name) else {
        return Ok(Started { reason: format!("the settings have no schedule `{}` any more", of.name) });
    };
    let guid = format!("{id}-{nominal:?}");
    let known = [guid.clone()];
    let unknown = deliveries::unknown(&mut *platform.store.acquire().await?, deliveries::NO_HOOK, &known).await?;
    if unknown.is_empty() {
        return Ok(Started { reason: "this moment stands in the ledger already".to_owned() });
    }
    let forge = platform.forge.open(&repository).await?;
    let me = forge.provider.me().await?;
    let issue = issue(platform, &repository, &forge, &schedule).await?;
    let event = event(&repository, &schedule, &issue, (me, nominal));
    let body = json!({ "schedule": schedule, "at": nominal, "issue": issue.number }).to_string();
    let arrival = Arrival {
        hook_key: deliveries::NO_HOOK,
        guid: &guid,
        spoken_for: Some(repository.id),
        event: &event,
        body: &body.into(),
        received_at: platform.now(),
        source: DeliverySource::Schedule,
    };
    let span = platform.telemetry.tracer.root("schedule", SpanKind::Consumer);
    let recorded = ingest::record(&platform.store, platform.dispatcher.instance(), &arrival).await?;
    platform.telemetry.metrics.delivery(arrival.source, recorded.verdict);
    if let Some(workflow_id) = recorded.workflow_id {
        platform.telemetry.trace_attempt(&platform.store, &workflow_id, &span).await;
        platform.dispatcher.spawn(workflow_id);
    }
    Ok(Started { reason: recorded.reason })
}

/// The moment that a workflow of a schedule is for: the engine writes it behind the schedule's own id.
fn nominal(schedule: &str, workflow: &str) -> Option<DateTime<Utc>> {
    let moment = workflow.strip_prefix(schedule)?.strip_prefix('-')?;
    Some(DateTime::parse_from_rfc3339(moment).ok()?.with_timezone(&Utc))
}

/// The open issue of a schedule, opened if there is none.
async fn issue(
    platform: &Platform,
    repository: &Repository,
    forge: &ForgeRepo,
    schedule: &ScheduleConfig,
) -> Result<Issue, StepError> {
    let marker = forge_text::schedule_marker(repository.id, &schedule.name);
    if let Some(there) = forge.provider.find_issue(&forge.repo, &marker).await? {
        return Ok(there);
    }
    platform.forge.pace(forge).await?;
    let key = intent::issue_key(&schedule.title);
    let new =
        NewIntent { repository: repository.id, run: None, kind: IntentKind::Issue, key: &key, now: platform.now() };
    let intended = intents::store(&mut *platform.store.acquire().await?, new).await?;
    let body = forge_text::schedule_issue(schedule, &marker);
    let made = forge.provider.create_issue(&forge.repo, &schedule.title, &body).await?;
    let number = Some(made.number.get());
    intents::done(&mut *platform.store.acquire().await?, intended, number, platform.now()).await?;
    Ok(made)
}

fn event(
    repository: &Repository,
    schedule: &ScheduleConfig,
    issue: &Issue,
    (me, nominal): (Account, DateTime<Utc>),
) -> Event {
    let IssueNumber(number) = issue.number;
    let moment = ScheduledMoment {
        schedule: schedule.name.clone(),
        agent: schedule.agent.clone(),
        instructions: schedule.instructions.clone(),
        issue: event::Issue {
            number,
            title: issue.title.clone(),
            labels: issue.labels.clone(),
            open: true,
            updated_at: nominal,
        },
    };
    let repository = event::Repository {
        forge_id: repository.forge_repo_id,
        owner: repository.owner.clone(),
        name: repository.name.clone(),
        default_branch: None,
        private: None,
        archived: None,
    };
    Event {
        name: "schedule".to_owned(),
        action: None,
        repository: Some(repository),
        sender: Some(Sender { id: me.id.get(), login: me.login, is_bot: true }),
        kind: EventKind::Scheduled(moment),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moment_stands_behind_the_schedules_id() {
        let at = nominal("dev:schedule:7:nightly", "dev:schedule:7:nightly-2026-11-26T03:00:00Z").unwrap();
        assert_eq!(at.to_rfc3339(), "2026-11-26T03:00:00+00:00");
        for other in ["dev:schedule:7:nightly", "dev:schedule:7:nightly-x", "dev:schedule:8:x-2026-11-26T03:00:00Z"] {
            assert_eq!(nominal("dev:schedule:7:nightly", other), None, "{other}");
        }
    }
}
