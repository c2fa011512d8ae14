//! Schedules of the engine: put where they should be, triggered, taken away. Each call may be repeated.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use temporalio_client::tonic::{Code, IntoRequest};
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowType,
    enums::v1::ScheduleOverlapPolicy,
    schedule::v1::{
        IntervalSpec, Schedule as WireSchedule, SchedulePatch, SchedulePolicies, ScheduleSpec,
        TriggerImmediatelyRequest, schedule_action::Action,
    },
    taskqueue::v1::TaskQueue,
    workflow::v1::NewWorkflowExecutionInfo,
    workflowservice::v1::{
        CreateScheduleRequest, DeleteScheduleRequest, DescribeScheduleRequest, PatchScheduleRequest,
        UpdateScheduleRequest,
    },
};
use uuid::Uuid;

use crate::engine::{Applied, Engine, EngineError, classify, is_missing, limited, payloads, reached};

/// A schedule as it should be. Starts that would overlap are skipped.
#[derive(Clone, Debug)]
pub struct Schedule<'a> {
    /// Its id, and what the ids of its workflows begin with.
    pub id: &'a str,
    /// When it starts one.
    pub when: When<'a>,
    /// What it starts.
    pub workflow_type: &'a str,
    /// With what.
    pub input: &'a Value,
    /// A workflow that is not through after this is ended by the engine.
    pub limit: Duration,
    /// A moment that the engine was down for is made up for if it is as young as this.
    pub catch_up: Duration,
}

/// When a schedule starts something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When<'a> {
    /// Again and again.
    Every(Duration),
    /// As a line of cron says.
    Cron {
        /// Five fields.
        line: &'a str,
        /// Name of a time zone.
        zone: &'a str,
    },
}

impl Engine {
    /// Makes the schedule, or changes it into what it should be. One that an operator has paused stays paused.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn put_schedule(&self, schedule: &Schedule<'_>) -> Result<(), EngineError> {
        let client = self.client().await?;
        let mut service = client.connection().workflow_service();
        let (namespace, identity) = (self.settings().namespace.clone(), self.settings().identity.clone());
        let schedule_id = schedule.id.to_owned();
        let request = DescribeScheduleRequest { namespace: namespace.clone(), schedule_id: schedule_id.clone() };
        let there = match limited(service.describe_schedule(request.into_request())).await {
            Ok(answer) => Some(answer.into_inner()),
            Err(status) if is_missing(&status) => None,
            Err(status) => return Err(classify(&status)),
        };
        let mut wanted = self.wire(schedule)?;
        let request_id = Uuid::new_v4().to_string();
        let answer = if let Some(there) = there {
            wanted.state = there.schedule.and_then(|schedule| schedule.state);
            let request = UpdateScheduleRequest {
                namespace,
                schedule_id,
                schedule: Some(wanted),
                identity,
                request_id,
                ..Default::default()
            };
            limited(service.update_schedule(request.into_request())).await.map(drop)
        } else {
            let request = CreateScheduleRequest {
                namespace,
                schedule_id,
                schedule: Some(wanted),
                identity,
                request_id,
                ..Default::default()
            };
            limited(service.create_schedule(request.into_request())).await.map(drop)
        };
        match answer {
            Ok(()) => Ok(()),
            // Another worker made it in between, and it wants what we want.
            Err(status) if status.code() == Code::AlreadyExists => Ok(()),
            Err(status) => Err(classify(&status)),
        }
    }

    fn wire(&self, schedule: &Schedule<'_>) -> Result<WireSchedule, EngineError> {
        let spec = match schedule.when {
            When::Every(interval) => ScheduleSpec {
                interval: vec![IntervalSpec { interval: interval.try_into().ok(), phase: None }],
                ..Default::default()
            },
            When::Cron { line, zone } => ScheduleSpec {
                cron_string: vec![line.to_owned()],
                timezone_name: zone.to_owned(),
                ..Default::default()
            },
        };
        let start = NewWorkflowExecutionInfo {
            workflow_id: schedule.id.to_owned(),
            workflow_type: Some(WorkflowType { name: schedule.workflow_type.to_owned() }),
            task_queue: Some(TaskQueue { name: self.settings().instance.task_queue(), ..Default::default() }),
            input: Some(payloads(schedule.input)?),
            workflow_execution_timeout: schedule.limit.try_into().ok(),
            ..Default::default()
        };
        let policies = SchedulePolicies {
            overlap_policy: ScheduleOverlapPolicy::Skip as i32,
            catchup_window: schedule.catch_up.try_into().ok(),
            ..Default::default()
        };
        let action = temporalio_common::protos::temporal::api::schedule::v1::ScheduleAction {
            action: Some(Action::StartWorkflow(start)),
        };
        Ok(WireSchedule { spec: Some(spec), action: Some(action), policies: Some(policies), state: None })
    }

    /// Has a schedule start its workflow now, after the one that may be under way; as if it were that moment, if one is
    /// given.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn trigger_schedule(&self, id: &str, at: Option<DateTime<Utc>>) -> Result<Applied, EngineError> {
        let trigger = TriggerImmediatelyRequest {
            overlap_policy: ScheduleOverlapPolicy::BufferOne as i32,
            scheduled_time: at.map(|at| std::time::SystemTime::from(at).into()),
        };
        let request = PatchScheduleRequest {
            namespace: self.settings().namespace.clone(),
            schedule_id: id.to_owned(),
            patch: Some(SchedulePatch { trigger_immediately: Some(trigger), ..Default::default() }),
            identity: self.settings().identity.clone(),
            request_id: Uuid::new_v4().to_string(),
        };
        let client = self.client().await?;
        let mut service = client.connection().workflow_service();
        reached(limited(service.patch_schedule(request.into_request())).await.map(drop))
    }

    /// Takes a schedule away; what it has started goes on.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn delete_schedule(&self, id: &str) -> Result<Applied, EngineError> {
        let request = DeleteScheduleRequest {
            namespace: self.settings().namespace.clone(),
            schedule_id: id.to_owned(),
            identity: self.settings().identity.clone(),
        };
        let client = self.client().await?;
        let mut service = client.connection().workflow_service();
        reached(limited(service.delete_schedule(request.into_request())).await.map(drop))
    }
}
