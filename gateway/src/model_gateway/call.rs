//! One call to the model API, counted: what it may use is reserved before anything is sent, and its end books what it used,
//! whatever happens.

use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    job::Usage,
    model::{ModelStop, Price, Stopped},
};
use store::{
    Store, StoreError,
    blobs::BlobKey,
    model_calls::{self, CallEnd, Charge, ModelCallId},
};
use telemetry::{Span, SpanKind, metrics::ModelCallSeen};

use super::{ModelGateway, bodies::Recorder, providers::Target, refusal, usage::UsageWatch};
use crate::{problem::Chain, runner_endpoint::RunnerAuth};

/// nginx's number for a caller who did not wait for the end.
const CALLER_LEFT: u16 = 499;

/// The model API broke off.
const BROKEN_OFF: u16 = 502;

/// Pauses between tries to write an end down.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(5)];

/// A call whose reservation is noted.
pub(super) struct Begun {
    /// Names it.
    pub(super) id: ModelCallId,
    /// The model's price.
    pub(super) price: Option<Price>,
    /// Where the budget has its answer end, in tokens.
    pub(super) cut_at: Option<u64>,
}

/// A call under way. When it is dropped, its end is written down: also when the caller goes away in the middle.
pub(super) struct Call {
    gateway: ModelGateway,
    auth: RunnerAuth,
    begun: Begun,
    began: Instant,
    span: Option<Span>,
    tries: u32,
    waited: Duration,
    served_by: Option<(String, String)>,
    /// Whether something that was sent may have cost something without an answer that tells.
    in_doubt: bool,
    refused_with: Option<u16>,
    answered: Option<Answered>,
    recorder: Option<Recorder>,
    stopped: Option<Stopped>,
}

struct Answered {
    status: u16,
    watch: UsageWatch,
    first_byte: Option<(DateTime<Utc>, Duration)>,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Whole,
    Broken,
}

impl Call {
    /// A call that is counted from now on.
    pub(super) fn new(gateway: &ModelGateway, auth: RunnerAuth, begun: Begun, recorded: Option<Bytes>) -> Self {
        Self {
            gateway: gateway.clone(),
            auth,
            begun,
            began: Instant::now(),
            span: None,
            tries: 0,
            waited: Duration::ZERO,
            served_by: None,
            in_doubt: false,
            refused_with: None,
            answered: None,
            recorder: recorded.map(Recorder::new),
            stopped: None,
        }
    }

    /// Hangs it into the trace of its attempt.
    pub(super) async fn trace(&mut self) {
        let (at, name) = ((self.auth.0, self.auth.1), "model call".to_owned());
        let gateway = &self.gateway;
        self.span = Some(gateway.telemetry.span_of_attempt(&gateway.store, at, name, SpanKind::Client).await);
    }

    /// Whose it is.
    pub(super) const fn auth(&self) -> RunnerAuth {
        self.auth
    }

    /// What the provider is told, the same for every try.
    pub(super) const fn id(&self) -> ModelCallId {
        self.begun.id
    }

    /// It was held up.
    pub(super) fn waited(&mut self, length: TimeDelta) {
        self.waited += length.to_std().unwrap_or_default();
    }

    /// It is on its way to a provider: from now on it may cost something.
    pub(super) fn sent(&mut self, target: &Target) {
        self.tries += 1;
        self.served_by = Some(target.names());
        self.in_doubt = true;
    }

    /// The provider refused it, which costs nothing.
    pub(super) fn refused(&mut self, status: u16) {
        self.in_doubt = false;
        self.refused_with = Some(status);
    }

    /// There was no answer.
    pub(super) fn unanswered(&mut self, may_have_arrived: bool) {
        self.in_doubt = may_have_arrived;
    }

    /// The answer that the caller gets begins.
    pub(super) fn answered(&mut self, status: u16, content_type: Option<&str>) {
        let watch = UsageWatch::new(content_type);
        self.answered = Some(Answered { status, watch, first_byte: None, end: End::Open });
    }

    /// Some of the answer passes by.
    pub(super) fn saw(&mut self, bytes: &[u8]) {
        if let Some(answered) = &mut self.answered {
            if answered.first_byte.is_none() {
                answered.first_byte = Some(((self.gateway.clock)(), self.began.elapsed()));
            }
            answered.watch.push(bytes);
        }
    }

    /// Some of the answer goes on to the caller, without the key: this is what may be kept.
    pub(super) fn passed_on(&mut self, bytes: &[u8]) {
        if let Some(recorder) = &mut self.recorder {
            recorder.saw(bytes);
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

    /// We answer it ourselves.
    pub(super) fn stop(&mut self, stopped: Stopped) {
        self.refused_with = Some(refusal::status(stopped.stop).as_u16());
        self.stopped = Some(stopped);
    }

    fn status(&self) -> Option<u16> {
        match &self.answered {
            Some(answered) => Some(answered.status()),
            None => self.refused_with,
        }
    }

    fn charge(&self) -> Charge {
        let Some(answered) = &self.answered else {
            return if self.in_doubt { Charge::Estimated } else { Charge::Nothing };
        };
        if !(200..300).contains(&answered.status) {
            return Charge::Nothing;
        }
        match answered.watch.usage() {
            Some(usage) => Charge::Reported(usage, self.begun.price.map(|price| price.of(usage))),
            None => Charge::Estimated,
        }
    }

    /// Why we ended it, if we did: the budget had the answer end, for instance.
    fn stopped(&self) -> Option<Stopped> {
        if self.stopped.is_some() {
            return self.stopped.clone();
        }
        let cut_at = self.begun.cut_at.filter(|_| self.answered.as_ref().is_some_and(|a| a.watch.was_cut()))?;
        let problem = format!(
            "The model's last answer was ended after {cut_at} tokens, which is all that was left of the model budget. To allow \
             more, raise `budget` in services.yaml and retry."
        );
        Some(Stopped { stop: ModelStop::OutputCut, problem })
    }

    /// Everything there is to write down.
    fn end(&mut self) -> Written {
        Written {
            id: self.begun.id,
            auth: self.auth,
            status: self.status(),
            charge: self.charge(),
            first_byte_at: self.answered.as_ref().and_then(|answered| answered.first_byte).map(|(at, _)| at),
            served_by: self.served_by.take(),
            tries: self.tries,
            waited: self.waited,
            stopped: self.stopped(),
            bodies: None,
            now: (self.gateway.clock)(),
        }
    }

    fn tell(&mut self, end: &Written) {
        let (usage, usd) = match end.charge {
            Charge::Reported(usage, usd) => (usage, usd),
            Charge::Nothing | Charge::Estimated => (Usage::default(), None),
        };
        self.gateway.telemetry.metrics.model_call(&ModelCallSeen {
            status: end.status,
            usage,
            usd,
            estimated: end.charge == Charge::Estimated,
            took: self.began.elapsed(),
            first_byte: self.answered.as_ref().and_then(|answered| answered.first_byte).map(|(_, took)| took),
        });
        if let Some(stopped) = &end.stopped {
            self.gateway.telemetry.metrics.model_stopped(stopped.stop);
        }
        if let Some(span) = &mut self.span {
            match end.status {
                Some(status @ 0..400) => span.note("http.response.status_code", status),
                Some(status) => span.fail(&status.to_string()),
                None => span.fail("no answer"),
            }
        }
        let RunnerAuth(run, attempt) = self.auth;
        let (status, tries, estimated) = (end.status, end.tries, end.charge == Charge::Estimated);
        let (input_tokens, output_tokens) = (usage.input_tokens, usage.output_tokens);
        tracing::info!(%run, %attempt, status, tries, input_tokens, output_tokens, estimated, "a model call ended");
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
        let mut end = self.end();
        self.tell(&end);
        let (gateway, recorder) = (self.gateway.clone(), self.recorder.take());
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        self.gateway.endings.spawn_on(
            async move {
                if let Some(recorder) = recorder {
                    end.bodies = recorder.keep(&gateway, end.auth, end.id).await;
                }
                end.write(&gateway.store).await;
            },
            &runtime,
        );
    }
}

/// The end of a call, to be written down.
struct Written {
    id: ModelCallId,
    auth: RunnerAuth,
    status: Option<u16>,
    charge: Charge,
    first_byte_at: Option<DateTime<Utc>>,
    served_by: Option<(String, String)>,
    tries: u32,
    waited: Duration,
    stopped: Option<Stopped>,
    bodies: Option<BlobKey>,
    now: DateTime<Utc>,
}

impl Written {
    async fn write(&self, store: &Store) {
        for pause in PAUSES.map(Some).into_iter().chain([None]) {
            match (self.once(store).await, pause) {
                (Ok(()), _) => return,
                (Err(_), Some(pause)) => tokio::time::sleep(pause).await,
                // The reservation stays; once this gateway is gone, another books it.
                (Err(error), None) => {
                    tracing::error!(error = %Chain(&error), "the end of a model call could not be written down");
                }
            }
        }
    }

    async fn once(&self, store: &Store) -> Result<(), StoreError> {
        let end = CallEnd {
            status: self.status,
            charge: self.charge,
            first_byte_at: self.first_byte_at,
            served_by: self.served_by.as_ref().map(|(provider, key)| (provider.as_str(), key.as_str())),
            tries: self.tries,
            waited: self.waited,
            stopped: self.stopped.as_ref(),
            bodies: self.bodies.as_ref(),
            now: self.now,
        };
        let mut tx = store.begin().await?;
        model_calls::finish(&mut tx, self.id, &end).await?;
        Ok(tx.commit().await?)
    }
}
