//! Asking the providers: tries, other keys, waits for their limits. All of it before the first byte of an answer; from then
//! on the answer is the caller's.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use domain::model::{ModelStop, Stopped};
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header::RETRY_AFTER, response::Parts};
use rand::RngExt;

use super::{
    ModelGateway,
    call::Call,
    providers::{Pick, Target},
    upstream::Outgoing,
    waits::Wait,
};
use crate::problem::{Chain, Problem};

/// How often a call is sent at most; one that met a rate limit was not worked on and does not count.
const TRIES: u32 = 3;

/// The pause before the second try; doubled before each further one, and never twice the same.
const PAUSE: Duration = Duration::from_millis(150);

/// How long to stay away where a provider sets a limit and does not say for how long.
const UNTOLD_LIMIT: TimeDelta = TimeDelta::seconds(10);

/// The body of a refusal is read to know what it is about.
const MAX_REFUSAL: usize = 256 * 1024;
const REFUSAL_LIMIT: Duration = Duration::from_secs(10);

/// An answer whose body may not have begun.
pub(super) struct Answer {
    pub(super) parts: Parts,
    pub(super) body: Body,
    /// Where it comes from.
    pub(super) target: Target,
}

/// How a call went.
pub(super) enum Outcome {
    /// Somebody answers.
    Answer(Box<Answer>),
    /// Nobody has the model.
    Stopped(Stopped),
}

/// What an answer means for its key and for the call.
enum Meaning {
    /// It is the caller's.
    Passes,
    /// The provider's limit.
    Limited(DateTime<Utc>),
    /// The key is of no use.
    KeyRefused,
    /// Another try may help.
    Failed,
}

/// A call on its way.
pub(super) struct Exchange<'a> {
    pub(super) gateway: &'a ModelGateway,
    pub(super) call: &'a mut Call,
    pub(super) out: Outgoing<'a>,
    pub(super) model: &'a str,
    pub(super) deadline: DateTime<Utc>,
}

impl Exchange<'_> {
    /// Sends the call until there is an answer for the caller.
    pub(super) async fn run(mut self) -> Result<Outcome, Problem> {
        let (mut tries, mut last, mut avoided) = (0, None, None);
        loop {
            let now = (self.gateway.clock)();
            let target = match self.gateway.providers.pick(&self.gateway.telemetry, self.model, now, avoided) {
                Pick::Target(target) => target,
                Pick::Limited(until) if until < self.deadline => {
                    self.wait(now, until).await;
                    continue;
                }
                Pick::Limited(until) => return last.map_or_else(|| Err(limited(until - now)), answered),
                Pick::Broken(until) => return last.map_or_else(|| Err(broken(until - now)), answered),
                Pick::Unserved => return Ok(Outcome::Stopped(unserved(self.model))),
            };
            avoided = Some(target.place());
            let (answer, counts) = match self.send(target).await {
                Ok((answer, Meaning::Passes)) => return answered(answer),
                Ok((answer, meaning)) => (Some(answer), !matches!(meaning, Meaning::Limited(_))),
                Err(()) => (None, true),
            };
            tries += u32::from(counts);
            last = answer.or(last);
            if tries >= TRIES {
                return last.map_or_else(|| Err(unreachable()), answered);
            }
            if counts {
                let jitter = PAUSE.mul_f64(rand::rng().random::<f64>());
                tokio::time::sleep(PAUSE * 2_u32.pow(tries - 1) + jitter).await;
            }
        }
    }

    /// Sends it once, and tells the key what came of it. No answer: the provider can't be reached.
    async fn send(&mut self, mut target: Target) -> Result<(Answer, Meaning), ()> {
        self.call.sent(&target);
        let metrics = &self.gateway.telemetry.metrics;
        match target.upstream().send(&self.out, target.bearer()).await {
            Ok(answer) if answer.status().is_success() => {
                target.succeeded();
                let (parts, body) = answer.into_parts();
                Ok((Answer { parts, body, target }, Meaning::Passes))
            }
            Ok(answer) => {
                self.call.refused(answer.status().as_u16());
                let (parts, body) = whole(answer).await;
                let now = (self.gateway.clock)();
                let told = meaning(&parts, &body, now);
                let alone = !self.gateway.providers.has_other(self.model, target.place());
                match told {
                    Meaning::Passes => target.succeeded(),
                    Meaning::Limited(until) => target.limited(now, until),
                    // To leave the only key alone for a while would hide the provider's words behind ours.
                    Meaning::KeyRefused if alone => {}
                    Meaning::KeyRefused => target.refused(now),
                    Meaning::Failed => target.failed(now),
                }
                metrics.model_try_failed(match told {
                    Meaning::Passes => "refused",
                    Meaning::Limited(_) => "rate_limited",
                    Meaning::KeyRefused => "key_refused",
                    Meaning::Failed => "server_error",
                });
                // Without another key there is nothing to try: the provider's own words say best what is wrong.
                let told = if alone && matches!(told, Meaning::KeyRefused) { Meaning::Passes } else { told };
                Ok((Answer { parts, body: Body::from(body), target }, told))
            }
            Err(error) => {
                self.call.unanswered(error.may_have_arrived());
                target.failed((self.gateway.clock)());
                metrics.model_try_failed("unreachable");
                tracing::warn!(error = %Chain(&error), provider = target.names().0, "the model API gave no answer");
                Err(())
            }
        }
    }

    /// Waits where everybody can see it.
    async fn wait(&mut self, now: DateTime<Utc>, until: DateTime<Utc>) {
        let length = until - now;
        let wait = Wait::begin(self.gateway, self.call.auth(), until).await;
        tokio::time::sleep(length.to_std().unwrap_or_default()).await;
        wait.end().await;
        self.call.waited(length);
        self.gateway.telemetry.metrics.model_waited(length.to_std().unwrap_or_default());
    }
}

fn answered(answer: Answer) -> Result<Outcome, Problem> {
    Ok(Outcome::Answer(Box::new(answer)))
}

/// An answer that is no success, with as much of its body as is worth reading.
async fn whole(answer: Response<Body>) -> (Parts, Bytes) {
    let (parts, body) = answer.into_parts();
    let mut read = Vec::new();
    let reading = async {
        let mut pieces = body.into_data_stream();
        while let Some(Ok(piece)) = pieces.next().await {
            read.extend_from_slice(&piece[..piece.len().min(MAX_REFUSAL - read.len())]);
            if read.len() == MAX_REFUSAL {
                break;
            }
        }
    };
    // What has come by then is enough to go on with.
    let _ = tokio::time::timeout(REFUSAL_LIMIT, reading).await;
    (parts, read.into())
}

fn meaning(parts: &Parts, body: &[u8], now: DateTime<Utc>) -> Meaning {
    match parts.status {
        StatusCode::TOO_MANY_REQUESTS if says_empty(body) => Meaning::KeyRefused,
        StatusCode::TOO_MANY_REQUESTS => {
            Meaning::Limited(now + retry_after(&parts.headers, now).unwrap_or(UNTOLD_LIMIT))
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Meaning::KeyRefused,
        StatusCode::REQUEST_TIMEOUT => Meaning::Failed,
        status if status.is_server_error() => Meaning::Failed,
        _ => Meaning::Passes,
    }
}

/// Whether a 429 is about an empty account, where waiting does not help.
fn says_empty(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    ["insufficient_quota", "billing_hard_limit", "usage_limit_reached"].iter().any(|code| text.contains(code))
}

fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<TimeDelta> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok().filter(|n| *n >= 0.0);
    let secs = number("retry-after-ms").map(|ms| ms / 1_000.0).or_else(|| number(RETRY_AFTER.as_str()));
    // At least a moment: a limit of nothing would be asked again at once, for ever.
    let told = |secs: f64| TimeDelta::from_std(Duration::try_from_secs_f64(secs.max(0.1)).ok()?).ok();
    secs.and_then(told).or_else(|| at_date(headers.get(RETRY_AFTER)?, now))
}

/// The other form of the header: a date.
fn at_date(value: &HeaderValue, now: DateTime<Utc>) -> Option<TimeDelta> {
    let at = DateTime::parse_from_rfc2822(value.to_str().ok()?).ok()?;
    Some((at.to_utc() - now).max(TimeDelta::seconds(1)))
}

fn unserved(model: &str) -> Stopped {
    let problem = format!(
        "No provider of this platform has the model `{model}`. Choose another in services.yaml, or have an operator add it to the \
         model gateway's providers."
    );
    Stopped { stop: ModelStop::Unserved, problem }
}

fn unreachable() -> Problem {
    let detail = "the model API can't be reached; an operator finds the cause in the model gateway's log";
    Problem::new(StatusCode::BAD_GATEWAY, "model_unreachable", detail)
}

fn broken(pause: TimeDelta) -> Problem {
    let detail = "the model API has failed too often and is left alone for a moment; try again then";
    Problem::unavailable("model_unavailable", detail, seconds(pause))
}

fn limited(pause: TimeDelta) -> Problem {
    let detail = "the model API's rate limit holds longer than the agent's time; retry later";
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "model_rate_limited", detail);
    Problem { retry_after: Some(seconds(pause)), ..problem }
}

fn seconds(pause: TimeDelta) -> u64 {
    u64::try_from(pause.num_seconds()).unwrap_or_default().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, headers: &[(&'static str, &str)], body: &str) -> String {
        let mut answer = Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        let (parts, ()) = answer.body(()).unwrap().into_parts();
        let now = DateTime::UNIX_EPOCH;
        match meaning(&parts, body.as_bytes(), now) {
            Meaning::Passes => "passes".to_owned(),
            Meaning::Limited(until) => format!("{} ms", (until - now).num_milliseconds()),
            Meaning::KeyRefused => "key".to_owned(),
            Meaning::Failed => "failed".to_owned(),
        }
    }

    #[test]
    fn refusals_are_told_apart() {
        for (status, headers, body, expected) in [
            (400, &[][..], "", "passes"),
            (404, &[], "", "passes"),
            (401, &[], "", "key"),
            (403, &[], "", "key"),
            (408, &[], "", "failed"),
            (500, &[], "", "failed"),
            (529, &[], "", "failed"),
            (429, &[], "", "10000 ms"),
            (429, &[("retry-after", "3")], "", "3000 ms"),
            (429, &[("retry-after", "3"), ("retry-after-ms", "250")], "", "250 ms"),
            (429, &[("retry-after", "0")], "", "100 ms"),
            (429, &[("retry-after", "-3")], "", "10000 ms"),
            (429, &[("retry-after", "Thu, 01 Jan 1970 00:00:00 GMT")], "", "1000 ms"),
            (429, &[("retry-after", "3")], "{\"error\":{\"code\":\"insufficient_quota\"}}", "key"),
        ] {
            assert_eq!(judged(status, headers, body), expected, "{status} {headers:?} {body}");
        }
    }
}
