//! Trouble with activities, as a worker's crash or a lost answer would make it.
//!
//! An interceptor of the worker: it sees each try of each activity. In every workflow the first try of every activity meets
//! the trouble, later ones go well.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use activities::{failure::StepError, platform::Platform, run_steps};
use anyhow::anyhow;
use temporalio_common::{ActivityError, error::ApplicationFailure};
use temporalio_sdk::interceptors::{
    ActivityExecutionValue, ActivityInboundInterceptor, ExecuteActivityInput, ExecuteActivityOutput,
    ExecuteActivityResult, Next,
};
use workflows::messages::{CancelCheck, RunRef, Settlement};

/// What happens to the first try of each activity of a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tamper {
    /// Its work is done, then done once more. The launch, done twice, also loses its answer: else nobody looks for the Job.
    Twice,
    /// It fails before anything is done.
    FailBefore,
    /// Its work is done, and the answer lost. That of the launch is lost as by a worker's death: nothing comes at all.
    LoseAnswer,
}

/// The activities that met their trouble so far, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Met(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    begun: BTreeSet<(String, String)>,
    names: BTreeSet<String>,
}

impl Met {
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).names.clone()
    }

    /// Whether this is the first time that the workflow calls the activity.
    fn begins(&self, workflow: &str, activity: &str) -> bool {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.begun.insert((workflow.to_owned(), activity.to_owned()))
    }

    /// A cancelled try that broke off has not done its work: the next one counts.
    fn again(&self, workflow: &str, activity: &str) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.begun.remove(&(workflow.to_owned(), activity.to_owned()));
    }

    fn note(&self, activity: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).names.insert(activity.to_owned());
    }
}

/// The interceptor.
pub(super) struct Tampering {
    how: Tamper,
    met: Met,
    platform: Arc<Platform>,
}

impl Tampering {
    pub(super) fn new(how: Tamper, met: Met, platform: Arc<Platform>) -> Self {
        Self { how, met, platform }
    }

    async fn meet(
        &self,
        call: Call,
        input: ExecuteActivityInput,
        next: Next<'_, ExecuteActivityInput, ExecuteActivityOutput<'_>>,
    ) -> ExecuteActivityResult {
        if !self.met.begins(&call.workflow, &call.activity) {
            return next.run(input).await;
        }
        if self.how == Tamper::FailBefore {
            self.met.note(&call.activity);
            return Err(lost("before anything was done"));
        }
        let done = next.run(input).await;
        if done.is_err() {
            self.met.again(&call.workflow, &call.activity);
            return done;
        }
        let launch = call.activity == "launch_job";
        if self.how == Tamper::Twice {
            let again = self.once_more(&call).await?;
            self.met.note(&call.activity);
            return if launch { Err(lost("after it was done twice")) } else { Ok(again) };
        }
        self.met.note(&call.activity);
        // An activity that is said to be completed elsewhere is heard of no more, like that of a worker that died.
        Err(if launch { ActivityError::WillCompleteAsync } else { lost("after it was done") })
    }

    /// Does the work of an activity with the same input. An activity that is not in here fails the test.
    async fn once_more(&self, call: &Call) -> ExecuteActivityResult {
        macro_rules! again {
            ($input:expr; $($name:ident),+) => {
                match call.activity.as_str() {
                    $(stringify!($name) => Some(value(run_steps::$name::run(&self.platform, $input).await)),)+
                    _ => None,
                }
            };
        }
        let again = match &call.input {
            Input::Run(at) => again!(*at;
                authorise, claim_slot, prepare_workspace, write_prompt, launch_job, find_job, watch_job, stop_job, collect,
                publish, turn_to_show, show_state, archive_logs, archive_history),
            Input::Cancel(check) => again!(check; authorise_cancel),
            Input::Settlement(settlement) => again!(settlement; settle),
            Input::Unknown => None,
        };
        again.unwrap_or_else(|| {
            Err(ActivityError::application(ApplicationFailure::non_retryable(anyhow!(
                "the harness can't do `{}` twice: teach it",
                call.activity
            ))))
        })
    }
}

impl ActivityInboundInterceptor for Tampering {
    fn execute_activity<'a>(
        &'a self,
        input: ExecuteActivityInput,
        next: Next<'a, ExecuteActivityInput, ExecuteActivityOutput<'a>>,
    ) -> ExecuteActivityOutput<'a> {
        let call = Call::of(&input);
        Box::pin(self.meet(call, input, next))
    }
}

/// One try.
struct Call {
    workflow: String,
    activity: String,
    input: Input,
}

enum Input {
    Run(RunRef),
    Cancel(CancelCheck),
    Settlement(Settlement),
    Unknown,
}

impl Call {
    fn of(input: &ExecuteActivityInput) -> Self {
        let info = input.activity_info();
        let typed = None
            .or_else(|| input.args_ref::<RunRef>().copied().map(Input::Run))
            .or_else(|| input.args_ref::<CancelCheck>().cloned().map(Input::Cancel))
            .or_else(|| input.args_ref::<Settlement>().cloned().map(Input::Settlement));
        Self {
            workflow: info.workflow_id.clone().unwrap_or_default(),
            activity: info.activity_type.clone(),
            input: typed.unwrap_or(Input::Unknown),
        }
    }
}

fn value<T: ActivityExecutionValue>(answer: Result<T, StepError>) -> ExecuteActivityResult {
    match answer {
        Ok(value) => Ok(Box::new(value)),
        Err(error) => Err(ActivityError::application(ApplicationFailure::non_retryable(anyhow!(
            "done a second time, it failed: {error}"
        )))),
    }
}

fn lost(when: &str) -> ActivityError {
    ActivityError::application(ApplicationFailure::new(anyhow!("the test had this try fail {when}")))
}
