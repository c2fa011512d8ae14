//! Whether a call may be made: the agent's models, and the budgets.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    model::{Decision, Limits, ModelPolicy, ModelStop, Stopped, Wish},
    sentences,
};
use store::{
    ModelCallKind,
    model_budgets::{self, Reservation},
    model_calls::{self, Caller, NewCall},
};

use super::{
    ModelGateway,
    call::{Begun, Call},
    refusal,
    request::CallRequest,
};
use crate::{problem::Problem, runner_endpoint::RunnerAuth};

/// How long a call may be held up where nothing says how long its agent may work.
const PATIENCE: TimeDelta = TimeDelta::minutes(10);

/// The first pause before looking again whether others have put back what they don't use, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A call that may be made.
pub(super) struct Admitted {
    /// It is counted.
    pub(super) call: Call,
    /// What is sent.
    pub(super) body: Bytes,
    /// It has to be sent by then.
    pub(super) deadline: DateTime<Utc>,
}

/// What becomes of a call.
pub(super) enum Admission {
    /// It may be made.
    Admitted(Box<Admitted>),
    /// It is answered by us.
    Stopped(Stopped),
}

/// Decides about a call, and waits for room in the budget that others only hold.
pub(super) async fn admit(
    gateway: &ModelGateway,
    auth: RunnerAuth,
    request: &CallRequest,
) -> Result<Admission, Problem> {
    let began = (gateway.clock)();
    let caller = model_calls::caller(&mut *gateway.store.acquire().await?, auth.0, auth.1).await?;
    let at = At { gateway, auth, request, caller: &caller };
    if let Some(problem) = not_allowed(caller.policy.as_ref(), &request.model) {
        return at.stop(ModelStop::NotAllowed, problem).await;
    }
    let deadline = deadline(&caller, began);
    let limits = caller.policy.as_ref().map_or_else(Limits::default, |policy| policy.limits);
    let mut pause = FIRST_PAUSE;
    loop {
        let decision = match at.reserve(&limits).await? {
            Reserving::Granted { call, body } => {
                let mut call = *call;
                call.waited((gateway.clock)() - began);
                return Ok(Admission::Admitted(Box::new(Admitted { call, body, deadline })));
            }
            Reserving::Not(decision) => decision,
        };
        match decision {
            Decision::Spent(problem) => return at.stop(ModelStop::Budget, problem).await,
            Decision::Unpriced(problem) => return at.stop(ModelStop::Unpriced, problem).await,
            // What is granted does not come here.
            Decision::Busy | Decision::Granted { .. } if (gateway.clock)() >= deadline => {
                return at.stop(ModelStop::Budget, sentences::model_budget_held().to_owned()).await;
            }
            Decision::Busy | Decision::Granted { .. } => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

enum Reserving {
    Granted { call: Box<Call>, body: Bytes },
    Not(Decision),
}

/// A call that is being decided about.
struct At<'a> {
    gateway: &'a ModelGateway,
    auth: RunnerAuth,
    request: &'a CallRequest,
    caller: &'a Caller,
}

impl At<'_> {
    fn new_call(&self) -> NewCall<'_> {
        NewCall {
            run: self.auth.0,
            attempt: self.auth.1,
            project: self.caller.project,
            kind: self.request.kind,
            model: &self.request.model,
            now: (self.gateway.clock)(),
        }
    }

    async fn reserve(&self, limits: &Limits) -> Result<Reserving, Problem> {
        let price = self.gateway.prices.of(&self.request.model);
        let wish = Wish { input: self.request.input, output: self.longest_answer(), price };
        let mut tx = self.gateway.store.begin().await?;
        let reserved = model_budgets::reserve(&mut tx, &self.new_call(), self.gateway.id, limits, &wish).await?;
        let (id, output, cut) = match reserved {
            Reservation::Granted { id, output, cut } => (id, output, cut),
            Reservation::Not(decision) => return Ok(Reserving::Not(decision)),
        };
        // Within the transaction, so that a body that can't be bounded reserves nothing.
        let body = if limits.any() && self.request.kind == ModelCallKind::Responses {
            self.request.bounded_by(output)?
        } else {
            self.request.body.clone()
        };
        tx.commit().await.map_err(store::StoreError::from)?;
        let begun = Begun { id, price, cut_at: cut.then_some(output) };
        let record = self.caller.policy.as_ref().is_some_and(|policy| policy.record_bodies);
        let call = Call::new(self.gateway, self.auth, begun, record.then(|| body.clone()));
        Ok(Reserving::Granted { call: Box::new(call), body })
    }

    fn longest_answer(&self) -> u64 {
        match self.request.kind {
            ModelCallKind::Embeddings => 0,
            ModelCallKind::Responses => {
                let of_model = self.gateway.prices.max_output(&self.request.model);
                self.request.max_output.map_or(of_model, |wanted| wanted.min(of_model))
            }
        }
    }

    async fn stop(&self, stop: ModelStop, problem: String) -> Result<Admission, Problem> {
        let stopped = Stopped { stop, problem };
        let status = refusal::status(stop).as_u16();
        let mut conn = self.gateway.store.acquire().await?;
        model_calls::refused(&mut conn, &self.new_call(), status, &stopped).await?;
        self.gateway.telemetry.metrics.model_stopped(stop);
        let RunnerAuth(run, attempt) = self.auth;
        tracing::info!(%run, %attempt, %stop, model = self.request.model, "a model call was not made");
        Ok(Admission::Stopped(stopped))
    }
}

fn not_allowed(policy: Option<&ModelPolicy>, model: &str) -> Option<String> {
    let policy = policy.filter(|policy| !policy.models.iter().any(|allowed| allowed == model))?;
    let allowed: Vec<String> = policy.models.iter().map(|allowed| format!("`{allowed}`")).collect();
    Some(sentences::model_not_allowed(model, allowed.join(", ")))
}

fn deadline(caller: &Caller, now: DateTime<Utc>) -> DateTime<Utc> {
    let secs = caller.policy.as_ref().map(|policy| policy.agent_secs).filter(|secs| *secs > 0);
    match secs.and_then(|secs| i64::try_from(secs).ok()).and_then(TimeDelta::try_seconds) {
        Some(turn) => caller.agent_since.unwrap_or(now) + turn,
        None => now + PATIENCE,
    }
}
