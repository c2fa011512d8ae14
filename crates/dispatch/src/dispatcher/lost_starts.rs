//! Starts that will never be delivered, and the end of what they were for.

use chrono::{DateTime, Utc};
use domain::{run::Outcome, sentences};
use serde_json::json;
use store::{
    CommandKind, PgConnection, StoreError, audit,
    commands::{self, About, Command},
    connections, runs,
};
use telemetry::catalogue::DispatchResult;

use super::Dispatcher;
use crate::engine::WorkflowState;

impl Dispatcher {
    pub(super) fn is_old_start(&self, command: &Command, now: DateTime<Utc>) -> bool {
        command.kind == CommandKind::Start && now - command.created_at > self.start_max_age
    }

    /// A start so old that the engine may have forgotten it: only what is certain is acted on.
    pub(super) async fn deliver_old_start(&self, command: &Command) -> Result<bool, StoreError> {
        match self.engine.state(&command.workflow_id).await {
            // Whether it has it is as unknown as before.
            Err(error) => self.try_later(command, &error.to_string(), true).await,
            Ok(WorkflowState::Open | WorkflowState::Closed { .. }) => {
                commands::mark_done(&mut *self.store.acquire().await?, command.id).await?;
                Ok(true)
            }
            Ok(WorkflowState::Unknown) => {
                let reason = sentences::start_too_late();
                self.count(command, DispatchResult::Stale);
                commands::mark_stale(&mut *self.store.acquire().await?, command.id, reason).await?;
                self.give_up(command, reason).await?;
                Ok(true)
            }
        }
    }

    /// Settles the run, or the connection, of a start that will never be delivered.
    pub(super) async fn give_up(&self, command: &Command, reason: &str) -> Result<(), StoreError> {
        if command.kind != CommandKind::Start {
            return Ok(());
        }
        let mut tx = self.store.begin().await?;
        let first = self.finish(&mut tx, command, Outcome::Lost, reason).await?;
        tx.commit().await?;
        if first {
            self.telemetry.metrics.run_ended(Outcome::Lost);
        }
        Ok(())
    }

    /// Drops a start that nobody has seen because its cancel is there already. False if the engine may have it.
    pub(super) async fn drop_start(&self, start: &Command) -> Result<bool, StoreError> {
        let mut tx = self.store.begin().await?;
        if !commands::drop_pending_start(&mut tx, &start.workflow_id).await? {
            return Ok(false);
        }
        let first = self.finish(&mut tx, start, Outcome::Cancelled, sentences::cancelled_before_begin()).await?;
        tx.commit().await?;
        if first {
            self.telemetry.metrics.run_ended(Outcome::Cancelled);
        }
        Ok(true)
    }

    /// True if this is the run's end, and not a later word about it.
    async fn finish(
        &self,
        tx: &mut PgConnection,
        start: &Command,
        outcome: Outcome,
        cause: &str,
    ) -> Result<bool, StoreError> {
        let now = self.now();
        let (run, attempt) = match start.about {
            About::Run(run, attempt) => (run, attempt),
            About::Connection(id) => return connections::fail(tx, id, cause, now).await.map(|_| false),
            // What is deleted stays so: the worker begins again.
            About::Project(_) => return Ok(false),
        };
        let end = runs::End { attempt, outcome, cause, now };
        let first = runs::finish(tx, run, end).await?;
        if first {
            let detail = json!({ "attempt": attempt, "outcome": outcome, "cause": cause });
            let event = audit::NewFlowEvent {
                run: Some(run),
                ..audit::NewFlowEvent::new(now, "dispatcher", "run_finished", detail)
            };
            audit::append(tx, event).await?;
        }
        Ok(first)
    }
}
