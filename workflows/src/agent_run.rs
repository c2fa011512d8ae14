//! `AgentRun`: from an accepted trigger to a pull request, a review or an answer; or to an end that says why not.
//!
//! Three things go on at once. *Work* goes through the steps. A *canceller* waits for somebody to end the run and then
//! cancels the scope in which work's activities run. A *projector* shows each change of state on the forge, with pauses,
//! so that the forge's slowness never holds up the work. Whatever happens, the run is settled: no path leaves a slot held.
#![expect(missing_docs, reason = "the macros of the SDK generate items without documentation")]

use std::time::{Duration, SystemTime};

use domain::{
    job::JobPresence,
    run::{Outcome, Step},
    sentences,
};
use temporalio_common::{
    ActivityDefinition, error::IncomingError, protos::temporal::api::failure::v1::failure::FailureInfo,
};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_workflow::{
    ActivityExecutionError, SyncWorkflowContext, WaitConditionOptions, WorkflowCancellationToken, WorkflowContext,
    WorkflowContextView, WorkflowResult, join, select,
};

use crate::{
    failure::innermost,
    messages::{
        AgentRunInput, CancelCheck, CancelRequest, JobEnd, RunEnd, RunRef, RunStatus, Settlement, Shown, Verdict,
    },
    options,
    steps::RunSteps,
    timer::timer,
};

/// How often a waiting run asks again for its slot, in case the grant's signal was lost.
pub(crate) const SLOT_RECHECK: Duration = Duration::from_secs(60);

/// How often a launch that was tried at once in vain, or whose answer was lost, is tried again where no Job is found; and the pause before
/// each look.
pub(crate) const LAUNCH_TRIES: u32 = 3;
pub(crate) const LAUNCH_PAUSE: Duration = Duration::from_secs(2);

/// A run is first shown on the forge when its agent is started, so that one look tells what would have taken several; or this long after
/// its sender is known to be allowed (some seconds more while the worker asks the forge for something else), or as soon as it has to wait for a slot.
pub(crate) const FIRST_LOOK: Duration = Duration::from_secs(10);

/// Pause before a settling that failed is repeated.
pub(crate) const SETTLE_PAUSE: Duration = Duration::from_secs(30);

/// One attempt of a run. See the module's text.
#[workflow]
pub struct AgentRun {
    input: AgentRunInput,
    status: RunStatus,
    cancel_requests: Vec<CancelRequest>,
    job_reported: bool,
    /// Until the sender is known to be allowed, nothing is shown: outsiders get no stage.
    authorised: bool,
    /// It waits for a slot, or did.
    queued: bool,
    /// Counts changes that the forge should show.
    changes: u64,
    closing: bool,
}

#[workflow_methods]
impl AgentRun {
    /// Takes the input; nothing is done yet.
    #[init]
    pub fn new(_ctx: &WorkflowContextView, input: AgentRunInput) -> Self {
        Self {
            input,
            status: RunStatus::default(),
            cancel_requests: Vec::new(),
            job_reported: false,
            authorised: false,
            queued: false,
            changes: 0,
            closing: false,
        }
    }

    /// Runs the attempt to its end.
    #[run(name = "AgentRun")]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<RunEnd> {
        let ctx: &WorkflowContext<Self> = ctx;
        let detached = WorkflowCancellationToken::new();
        let scope = WorkflowCancellationToken::new();
        let (end, (), ()) = join!(
            Self::work_and_settle(ctx, &scope, &detached),
            Self::cancel_when_asked(ctx, &scope, &detached),
            Self::show_changes(ctx, &detached),
        );
        let at = Self::at(ctx);
        // The last look of the forge must be the final one; a failure here leaves the stored truth as it is.
        let _ = ctx.execute_activity(RunSteps::show_state, at, options::forge(&detached)).await;
        let _ = ctx.execute_activity(RunSteps::archive_logs, at, options::bulky(&detached)).await;
        let _ = ctx.execute_activity(RunSteps::archive_history, at, options::quick(&detached)).await;
        Ok(end)
    }

    /// The slot this run waited for is its own now.
    #[signal(name = "slot_granted")]
    pub fn slot_granted(&mut self, _ctx: &mut SyncWorkflowContext<Self>, _unused: ()) {
        self.status.slot_granted = true;
    }

    /// The runner's report is stored.
    #[signal(name = "job_reported")]
    pub fn job_reported(&mut self, _ctx: &mut SyncWorkflowContext<Self>, _unused: ()) {
        self.job_reported = true;
    }

    /// Somebody asks for the run to end.
    #[signal(name = "cancel_requested")]
    pub fn cancel_requested(&mut self, _ctx: &mut SyncWorkflowContext<Self>, request: CancelRequest) {
        self.cancel_requests.push(request);
    }

    /// Where the run is.
    #[query(name = "status")]
    pub fn status(&self, _ctx: &WorkflowContextView) -> RunStatus {
        self.status.clone()
    }

    fn at(ctx: &WorkflowContext<Self>) -> RunRef {
        ctx.state(|s| RunRef { run: s.input.run, attempt: s.input.attempt })
    }

    fn enter(ctx: &WorkflowContext<Self>, step: Step) {
        ctx.state_mut(|s| {
            s.status.step = Some(step);
            s.changes += 1;
        });
        ctx.set_current_details(step.describe());
    }

    /// Whether a step is to be done, or was done by the attempt that this one continues.
    fn wanted(ctx: &WorkflowContext<Self>, step: Step) -> bool {
        ctx.state(|s| s.input.from_step.is_none_or(|from| step >= from))
    }

    async fn work_and_settle(
        ctx: &WorkflowContext<Self>,
        scope: &WorkflowCancellationToken,
        detached: &WorkflowCancellationToken,
    ) -> RunEnd {
        let at = Self::at(ctx);
        let end = match Self::work(ctx, scope).await {
            Ok(end) => end,
            Err(stopped) => {
                // A step that is told to end may fail meanwhile, or have lost its worker before.
                let stopped = if scope.is_cancelled() { Stopped::Cancelled } else { stopped };
                // Whatever broke off, no Job may go on for a run that has ended.
                let _ = ctx.execute_activity(RunSteps::stop_job, at, options::quick(detached)).await;
                Self::explain_end(ctx, &stopped)
            }
        };
        Self::enter(ctx, Step::Settle);
        let settlement = Settlement { at, end: end.clone() };
        // Settling only writes our own database: it is repeated until it is through, since a held slot blocks others.
        let options = options::step(Step::Settle, detached);
        while ctx.execute_activity(RunSteps::settle, settlement.clone(), options.clone()).await.is_err() {
            ctx.timer(timer(SETTLE_PAUSE, detached)).await;
        }
        ctx.state_mut(|s| {
            s.status.end = Some(end.clone());
            s.closing = true;
        });
        end
    }

    async fn work(ctx: &WorkflowContext<Self>, scope: &WorkflowCancellationToken) -> Result<RunEnd, Stopped> {
        let at = Self::at(ctx);
        Self::enter(ctx, Step::Authorise);
        let sender = Self::at_once_or_later(ctx, scope, Step::Authorise, || RunSteps::authorise).await?;
        if !sender.allowed {
            return Ok(RunEnd { outcome: Outcome::Refused, cause: sender.reason });
        }
        ctx.state_mut(|s| s.authorised = true);
        Self::await_slot(ctx, scope).await?;
        // An attempt that begins later than here has the work of the one before.
        if Self::wanted(ctx, Step::Agent) {
            Self::enter(ctx, Step::Clone);
            let workspace = Self::at_once_or_later(ctx, scope, Step::Clone, || RunSteps::prepare_workspace).await?;
            Self::enter(ctx, Step::Prompt);
            Self::at_once_or_later(ctx, scope, Step::Prompt, || RunSteps::write_prompt).await?;
            if let Some(end) = Self::have_the_agent_work(ctx, scope, workspace.job_secs).await? {
                return Ok(end);
            }
        }
        Self::enter(ctx, Step::Collect);
        let work = ctx.execute_activity(RunSteps::collect, at, options::step(Step::Collect, scope));
        match Self::step(Step::Collect, work).await? {
            Verdict::End(end) => return Ok(end),
            Verdict::Publish => {}
        }
        Self::enter(ctx, Step::Publish);
        let work = ctx.execute_activity(RunSteps::publish, at, options::step(Step::Publish, scope));
        Self::step(Step::Publish, work).await
    }

    /// A step that is soon done, or not for long: some questions to the forge, or a mirror that is nearly up to date. So the worker that has
    /// the workflow tries by itself, which spares the engine the work of handing it out; what that does not bring about has all the
    /// patience of an activity.
    async fn at_once_or_later<A>(
        ctx: &WorkflowContext<Self>,
        scope: &WorkflowCancellationToken,
        step: Step,
        activity: fn() -> A,
    ) -> Result<A::Output, Stopped>
    where
        A: ActivityDefinition<Input = RunRef>,
    {
        let at = Self::at(ctx);
        match Self::step(step, ctx.execute_local_activity(activity(), at, options::at_once(scope))).await {
            Err(Stopped::Failed { in_doubt: true, .. }) => {}
            done => return done,
        }
        Self::step(step, ctx.execute_activity(activity(), at, options::step(step, scope))).await
    }

    async fn await_slot(ctx: &WorkflowContext<Self>, scope: &WorkflowCancellationToken) -> Result<(), Stopped> {
        let at = Self::at(ctx);
        Self::enter(ctx, Step::Slot);
        let waiting = WorkflowCancellationToken::new();
        loop {
            let work = ctx.execute_local_activity(RunSteps::claim_slot, at, options::local(Step::Slot, scope));
            let claim = Self::step(Step::Slot, work).await?;
            if claim.granted {
                ctx.state_mut(|s| s.status.slot_granted = true);
                return Ok(());
            }
            ctx.state_mut(|s| {
                s.queued = true;
                s.changes += 1; // Its place is worth showing.
            });
            let granted = WaitConditionOptions::builder().cancellation_token(scope.clone()).build();
            select! {
                waited = ctx.wait_condition_with_options(|s| s.status.slot_granted, granted) => {
                    waited.map_err(|_| Stopped::Cancelled)?;
                }
                _ = ctx.timer(timer(SLOT_RECHECK, &waiting)) => {}
            }
            // Asking once more is how a granted claim is read, too: the row is the truth, the signal only wakes.
            ctx.state_mut(|s| s.status.slot_granted = false);
        }
    }

    /// Launch and wait. `Some` if the run ends here.
    async fn have_the_agent_work(
        ctx: &WorkflowContext<Self>,
        scope: &WorkflowCancellationToken,
        job_secs: u64,
    ) -> Result<Option<RunEnd>, Stopped> {
        let at = Self::at(ctx);
        Self::enter(ctx, Step::Launch);
        Self::launch(ctx, scope).await?;
        Self::enter(ctx, Step::Agent);
        let watching = scope.child_token();
        let mut watch = ctx.execute_activity(RunSteps::watch_job, at, options::watch(&watching, job_secs));
        let reported = WaitConditionOptions::builder().cancellation_token(scope.clone()).build();
        let ended = select! {
            ended = watch => Some(ended),
            _ = ctx.wait_condition_with_options(|s| s.job_reported, reported) => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                // Reported, or cancelled: either way the watcher has to let go before the run goes on.
                watching.cancel();
                let _ = watch.await;
                if scope.is_cancelled() {
                    return Err(Stopped::Cancelled);
                }
                return Ok(None);
            }
        };
        match Self::classify(Step::Agent, ended)? {
            JobEnd::Reported => Ok(None),
            JobEnd::Lost { cause } => Err(Stopped::Lost(cause)),
        }
    }

    /// Starts the Job exactly once: after an answer that was lost, or that does not rule out a start, the launcher is asked
    /// before anything is started again. The first try is made at once, by the worker that has the workflow.
    async fn launch(ctx: &WorkflowContext<Self>, scope: &WorkflowCancellationToken) -> Result<(), Stopped> {
        let at = Self::at(ctx);
        let at_once = ctx.execute_local_activity(RunSteps::launch_job, at, options::at_once(scope));
        let mut tried = Self::step(Step::Launch, at_once).await;
        let mut left = LAUNCH_TRIES;
        loop {
            let failed = match tried {
                Err(failed @ Stopped::Failed { in_doubt: true, .. }) => failed,
                done => return done,
            };
            ctx.timer(timer(LAUNCH_PAUSE, scope)).await;
            let look = ctx.execute_activity(RunSteps::find_job, at, options::quick(scope));
            match Self::step(Step::Launch, look).await? {
                JobPresence::Absent if left == 0 => return Err(failed),
                JobPresence::Absent => left -= 1,
                JobPresence::Running | JobPresence::Ended => return Ok(()),
            }
            let work = ctx.execute_activity(RunSteps::launch_job, at, options::step(Step::Launch, scope));
            tried = Self::step(Step::Launch, work).await;
        }
    }

    /// Waits for cancels and decides which of them count; ends with the run.
    async fn cancel_when_asked(
        ctx: &WorkflowContext<Self>,
        scope: &WorkflowCancellationToken,
        detached: &WorkflowCancellationToken,
    ) {
        loop {
            let asked = WaitConditionOptions::builder().cancellation_token(detached.clone()).build();
            let by = select! {
                reason = ctx.cancelled() => Some(reason.unwrap_or_else(|| "an operator".to_owned())),
                _ = ctx.wait_condition_with_options(|s| s.closing || !s.cancel_requests.is_empty(), asked) => None,
            };
            if let Some(by) = by {
                return Self::cancel(ctx, scope, by);
            }
            let Some(request) = ctx.state_mut(|s| (!s.closing).then(|| s.cancel_requests.pop()).flatten()) else {
                return;
            };
            let check = CancelCheck { at: Self::at(ctx), request: request.clone() };
            let answer = ctx.execute_activity(RunSteps::authorise_cancel, check, options::forge(detached)).await;
            if answer.is_ok_and(|answer| answer.allowed) {
                return Self::cancel(ctx, scope, format!("{} ({})", request.by, request.source));
            }
        }
    }

    fn cancel(ctx: &WorkflowContext<Self>, scope: &WorkflowCancellationToken, by: String) {
        ctx.state_mut(|s| s.status.cancelled_by = Some(by));
        scope.cancel();
    }

    /// Shows changes on the forge, newest state only, with the pauses it asks for.
    async fn show_changes(ctx: &WorkflowContext<Self>, detached: &WorkflowCancellationToken) {
        let (at, pausing) = (Self::at(ctx), WorkflowCancellationToken::new());
        let until = || WaitConditionOptions::builder().cancellation_token(detached.clone()).build();
        let _ = ctx.wait_condition_with_options(|s| s.closing || s.authorised, until()).await;
        if ctx.state(|s| s.closing) {
            return;
        }
        let worth_a_look = |s: &Self| s.closing || s.queued || s.status.step >= Some(Step::Agent);
        let early = WorkflowCancellationToken::new();
        select! {
            _ = ctx.wait_condition_with_options(worth_a_look, until()) => early.cancel(),
            _ = ctx.timer(timer(FIRST_LOOK, &early)) => {}
        }
        let (mut shown, mut moved_on, mut rest_until) = (0, false, None::<SystemTime>);
        loop {
            let _ = ctx.wait_condition_with_options(|s| s.closing || moved_on || s.changes > shown, until()).await;
            // Only who has something to show need rest.
            let rest = rest_until.zip(ctx.workflow_time()).and_then(|(until, now)| until.duration_since(now).ok());
            if let Some(rest) = rest.filter(|rest| !rest.is_zero()) {
                select! {
                    _ = ctx.wait_condition_with_options(|s| s.closing, until()) => {}
                    _ = ctx.timer(timer(rest, &pausing)) => {}
                }
            }
            if ctx.state(|s| s.closing) {
                return;
            }
            // Where many wait, most would be handed out only to be sent away.
            let turn = ctx.execute_local_activity(RunSteps::turn_to_show, at, options::in_passing(detached)).await;
            if ctx.state(|s| s.closing) {
                return;
            }
            if let Some(wait) = turn.ok().map(|turn| Duration::from_secs(turn.wait_secs)).filter(|wait| !wait.is_zero())
            {
                rest_until = ctx.workflow_time().map(|now| now + wait);
                continue;
            }
            shown = ctx.state(|s| s.changes);
            let answer = ctx.execute_activity(RunSteps::show_state, at, options::forge(detached)).await;
            let answer = answer.unwrap_or(Shown { pause_secs: 30, moved_on: false });
            moved_on = answer.moved_on;
            rest_until = ctx.workflow_time().map(|now| now + Duration::from_secs(answer.pause_secs));
        }
    }

    async fn step<T>(step: Step, work: impl Future<Output = Result<T, ActivityExecutionError>>) -> Result<T, Stopped> {
        Self::classify(step, work.await)
    }

    fn classify<T>(step: Step, answer: Result<T, ActivityExecutionError>) -> Result<T, Stopped> {
        answer.map_err(|error| match &error {
            ActivityExecutionError::Cancelled(_) => Stopped::Cancelled,
            other => Stopped::Failed { step, cause: innermost(other), in_doubt: in_doubt(other) },
        })
    }

    fn explain_end(ctx: &WorkflowContext<Self>, stopped: &Stopped) -> RunEnd {
        match stopped {
            Stopped::Cancelled => {
                let by = ctx.state(|s| s.status.cancelled_by.clone()).unwrap_or_else(|| "the engine".to_owned());
                RunEnd { outcome: Outcome::Cancelled, cause: sentences::cancelled_by(by) }
            }
            Stopped::Lost(cause) => RunEnd { outcome: Outcome::Lost, cause: cause.clone() },
            Stopped::Failed { step, cause, .. } => {
                RunEnd { outcome: Outcome::Failed, cause: sentences::while_step(step.describe(), cause) }
            }
        }
    }
}

/// Why the work broke off.
enum Stopped {
    Cancelled,
    Lost(String),
    Failed { step: Step, cause: String, in_doubt: bool },
}

/// Whether the activity may have done its work all the same: its answer was lost, or it broke off at something passing.
fn in_doubt(error: &ActivityExecutionError) -> bool {
    let passing = |error: &IncomingError| matches!(error, IncomingError::Application(app) if !app.is_non_retryable());
    // What a local activity fails with is not the cause of anything; its timeout is one while it is new, and none once it is replayed.
    let local = match error.failure().and_then(|failure| failure.failure_info.as_ref()) {
        Some(FailureInfo::ApplicationFailureInfo(app)) => !app.non_retryable,
        Some(FailureInfo::TimeoutFailureInfo(_)) => true,
        _ => false,
    };
    local || error.as_timeout().is_some() || error.cause().is_some_and(passing)
}
