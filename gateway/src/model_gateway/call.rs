//! One call to the model API, counted: its beginning before anything is sent, its end whatever happens.

use std::time::{Duration, Instant};

use domain::job::Usage;
use store::{
    Store, StoreError,
    model_calls::{self, ModelCallId},
};

use telemetry::{Span, SpanKind};

use super::{ModelGateway, usage::UsageWatch};
use crate::{problem::Chain, runner_endpoint::RunnerAuth};

/// nginx's number for a caller who did not wait for the end.
const CALLER_LEFT: u16 = 499;

/// The model API broke off.
const BROKEN_OFF: u16 = 502;

/// Pauses between tries to write an end down.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(5)];

/// A call under way. When it is dropped, its end is written down: also when the caller goes away in the middle.
pub(super) struct Call {
    gateway: ModelGateway,
    id: ModelCallId,
    auth: RunnerAuth,
    began: Instant,
    span: Span,
    answered: Option<Answered>,
}

struct Answered {
    status: u16,
    watch: UsageWatch,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Whole,
    Broken,
}

impl Call {
    /// Counts a call that is about to be made.
    pub(super) async fn begin(gateway: &ModelGateway, auth: RunnerAuth) -> Result<Self, StoreError> {
        let (at, name) = ((auth.0, auth.1), "model call".to_owned());
        let span = gateway.telemetry.span_of_attempt(&gateway.store, at, name, SpanKind::Client).await;
        let mut conn = gateway.store.acquire().await?;
        let id = model_calls::begin(&mut conn, auth.0, auth.1, (gateway.clock)()).await?;
        Ok(Self { gateway: gateway.clone(), id, auth, began: Instant::now(), span, answered: None })
    }

    /// The model API answers.
    pub(super) fn answered(&mut self, status: u16, content_type: Option<&str>) {
        self.answered = Some(Answered { status, watch: UsageWatch::new(content_type), end: End::Open });
    }

    /// Some of the answer passes by.
    pub(super) fn saw(&mut self, bytes: &[u8]) {
        if let Some(answered) = &mut self.answered {
            answered.watch.push(bytes);
        }
    }

    /// The answer has come to its end.
    pub(super) fn ended(&mut self) {
        if let Some(answered) = &mut self.answered {
            answered.watch.finish();
            answered.end = End::Whole;
        }
    }

    /// The answer broke off.
    pub(super) fn broke_off(&mut self) {
        if let Some(answered) = &mut self.answered {
            answered.end = End::Broken;
        }
    }
}

impl Answered {
    fn status(&self) -> u16 {
        match self.end {
            // Who has heard the final event may hang up.
            End::Open if self.watch.has_ended() => self.status,
            End::Open => CALLER_LEFT,
            End::Whole => self.status,
            End::Broken => BROKEN_OFF,
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let status = self.answered.as_ref().map(Answered::status);
        let usage = self.answered.as_ref().and_then(|answered| answered.watch.usage()).unwrap_or_default();
        self.gateway.telemetry.metrics.model_call(status, usage, self.began.elapsed());
        match status {
            Some(status @ 0..400) => self.span.note("http.response.status_code", status),
            Some(status) => self.span.fail(&status.to_string()),
            None => self.span.fail("no answer"),
        }
        let RunnerAuth(run, attempt) = self.auth;
        tracing::info!(
            %run,
            %attempt,
            status,
            input_tokens = usage.input_tokens,
            output_tokens = usage.output_tokens,
            "a model call ended"
        );
        let (store, id, now) = (self.gateway.store.clone(), self.id, (self.gateway.clock)());
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        self.gateway.endings.spawn_on(
            async move {
                for pause in PAUSES.map(Some).into_iter().chain([None]) {
                    match (finish(&store, id, status, usage, now).await, pause) {
                        (Ok(()), _) => return,
                        (Err(_), Some(pause)) => tokio::time::sleep(pause).await,
                        (Err(error), None) => {
                            tracing::error!(error = %Chain(&error), "the end of a model call could not be written down");
                        }
                    }
                }
            },
            &runtime,
        );
    }
}

async fn finish(
    store: &Store,
    id: ModelCallId,
    status: Option<u16>,
    usage: Usage,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<(), StoreError> {
    model_calls::finish(&mut *store.acquire().await?, id, status, usage, now).await
}
