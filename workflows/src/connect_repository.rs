//! `ConnectRepository`: from a stored credential to a repository whose labels and comments are heard; and what is done to that
//! connection later, up to its end.
//!
//! It is given the id of a row and what is to be done; whoever asked follows that row. A connection that only checks rights ends
//! after the first step.
#![expect(missing_docs, reason = "the macros of the SDK generate items without documentation")]

use std::time::Duration;

use domain::{
    connection::{ConnectionPurpose, ConnectionStep},
    sentences,
};
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
    timer::timer,
};

/// How long is waited at first until the runs of a repository are counted again; each time twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// And no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);

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
        let (failure, left) = match Self::work(ctx, scope).await {
            Ok(left) => (None, left),
            Err(failure) => (Some(failure), None),
        };
        let end = ConnectionEnd { connection, failure, left };
        // Whoever waits for the row must not wait for ever.
        while ctx.execute_activity(ConnectSteps::end_connecting, end.clone(), options::quick(detached)).await.is_err() {
            ctx.timer(timer(Duration::from_secs(30), detached)).await;
        }
        ctx.state_mut(|s| s.closing = true);
    }

    /// Gives what could not be done although it got to its end.
    async fn work(ctx: &WorkflowContext<Self>, scope: &WorkflowCancellationToken) -> Result<Option<String>, String> {
        match ctx.state(|s| s.at.purpose) {
            ConnectionPurpose::Connect | ConnectionPurpose::Check => Self::connect(ctx, scope).await.map(|()| None),
            ConnectionPurpose::Rotate => {
                let at = ctx.state(|s| s.at);
                let work = ctx.execute_activity(ConnectSteps::renew_secret, at, options::forge(scope));
                Self::step(ctx, ConnectionStep::Secret, work).await.map(|()| None)
            }
            ConnectionPurpose::Detach => Self::detach(ctx, scope).await,
        }
    }

    async fn connect(ctx: &WorkflowContext<Self>, scope: &WorkflowCancellationToken) -> Result<(), String> {
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

    /// Nothing starts in the repository any more: its row says so. A forge that does not let the webhook go does not stand against
    /// the rest; runs that go on need the credential until they have ended.
    async fn detach(ctx: &WorkflowContext<Self>, scope: &WorkflowCancellationToken) -> Result<Option<String>, String> {
        let at = ctx.state(|s| s.at);
        let work = ctx.execute_activity(ConnectSteps::drop_schedules, at, options::quick(scope));
        Self::step(ctx, ConnectionStep::Schedules, work).await?;
        let work = ctx.execute_activity(ConnectSteps::remove_hooks, at, options::forge(scope));
        let left = Self::step(ctx, ConnectionStep::Unhook, work).await.err();
        let mut pause = FIRST_PAUSE;
        loop {
            let work = ctx.execute_activity(ConnectSteps::count_runs, at, options::quick(scope));
            if Self::step(ctx, ConnectionStep::Runs, work).await?.runs == 0 {
                break;
            }
            ctx.timer(timer(pause, scope)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        let work = ctx.execute_activity(ConnectSteps::withdraw_credential, at, options::quick(scope));
        Self::step(ctx, ConnectionStep::Withdraw, work).await?;
        Ok(left)
    }

    async fn step<T>(
        ctx: &WorkflowContext<Self>,
        step: ConnectionStep,
        work: impl Future<Output = Result<T, ActivityExecutionError>>,
    ) -> Result<T, String> {
        work.await.map_err(|error| match &error {
            ActivityExecutionError::Cancelled(_) => {
                let by = ctx.state(|s| s.cancelled_by.clone()).unwrap_or_else(|| "the engine".to_owned());
                sentences::cancelled_by(by)
            }
            other => sentences::while_step(step.describe(), innermost(other)),
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
