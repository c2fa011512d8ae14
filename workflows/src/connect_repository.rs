//! `ConnectRepository`: from a stored credential to a repository whose labels and comments are heard.
//!
//! It is given the id of a row and nothing else; whoever asked follows that row. A connection that only checks rights ends after
//! the first step.
#![expect(missing_docs, reason = "the macros of the SDK generate items without documentation")]

use std::time::Duration;

use domain::connection::ConnectionStep;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_workflow::{
    ActivityExecutionError, WaitConditionOptions, WorkflowCancellationToken, WorkflowContext, WorkflowContextView,
    WorkflowResult, join, select,
};

use crate::{
    connect_steps::ConnectSteps,
    failure::innermost,
    messages::{ConnectionEnd, ConnectionRef},
    options,
};

/// Connects one repository. See the module's text.
#[workflow]
pub struct ConnectRepository {
    at: ConnectionRef,
    cancelled_by: Option<String>,
    closing: bool,
}

#[workflow_methods]
impl ConnectRepository {
    /// Takes the input; nothing is done yet.
    #[init]
    pub fn new(_ctx: &WorkflowContextView, at: ConnectionRef) -> Self {
        Self { at, cancelled_by: None, closing: false }
    }

    /// Connects, and stores how it ended.
    #[run(name = "ConnectRepository")]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        let ctx: &WorkflowContext<Self> = ctx;
        let detached = WorkflowCancellationToken::new();
        let scope = WorkflowCancellationToken::new();
        join!(Self::work_and_end(ctx, &scope, &detached), Self::cancel_when_asked(ctx, &scope, &detached));
        Ok(())
    }

    async fn work_and_end(
        ctx: &WorkflowContext<Self>,
        scope: &WorkflowCancellationToken,
        detached: &WorkflowCancellationToken,
    ) {
        let connection = ctx.state(|s| s.at.connection);
        let failure = Self::work(ctx, scope).await.err();
        let end = ConnectionEnd { connection, failure };
        // Whoever waits for the row must not wait for ever.
        while ctx.execute_activity(ConnectSteps::end_connecting, end.clone(), options::quick(detached)).await.is_err() {
            ctx.timer(Duration::from_secs(30)).await;
        }
        ctx.state_mut(|s| s.closing = true);
    }

    async fn work(ctx: &WorkflowContext<Self>, scope: &WorkflowCancellationToken) -> Result<(), String> {
        let at = ctx.state(|s| s.at);
        let work = ctx.execute_activity(ConnectSteps::check_rights, at, options::forge(scope));
        if !Self::step(ctx, ConnectionStep::Rights, work).await?.connect {
            return Ok(());
        }
        let work = ctx.execute_activity(ConnectSteps::adopt_repository, at, options::forge(scope));
        Self::step(ctx, ConnectionStep::Repository, work).await?;
        let work = ctx.execute_activity(ConnectSteps::make_hook, at, options::forge(scope));
        Self::step(ctx, ConnectionStep::Hook, work).await?;
        let work = ctx.execute_activity(ConnectSteps::read_settings, at, options::forge(scope));
        Self::step(ctx, ConnectionStep::Settings, work).await
    }

    async fn step<T>(
        ctx: &WorkflowContext<Self>,
        step: ConnectionStep,
        work: impl Future<Output = Result<T, ActivityExecutionError>>,
    ) -> Result<T, String> {
        work.await.map_err(|error| match &error {
            ActivityExecutionError::Cancelled(_) => {
                let by = ctx.state(|s| s.cancelled_by.clone()).unwrap_or_else(|| "the engine".to_owned());
                format!("Cancelled by {by}.")
            }
            other => format!("While {}: {}", step.describe(), innermost(other)),
        })
    }

    async fn cancel_when_asked(
        ctx: &WorkflowContext<Self>,
        scope: &WorkflowCancellationToken,
        detached: &WorkflowCancellationToken,
    ) {
        let closed = WaitConditionOptions::builder().cancellation_token(detached.clone()).build();
        select! {
            reason = ctx.cancelled() => {
                ctx.state_mut(|s| s.cancelled_by = Some(reason.unwrap_or_else(|| "an operator".to_owned())));
                scope.cancel();
            }
            _ = ctx.wait_condition_with_options(|s| s.closing, closed) => {}
        }
    }
}
