//! `POST /webhooks/github`: from the raw bytes to a row of the ledger, and to a run if one starts.

pub(crate) mod body;
mod committers;
mod headers;
mod secrets;
mod signature;

use std::time::Duration;

use axum::{Json, extract::State};
use bytes::Bytes;
use domain::{
    event::Event,
    ids::{DeliveryId, RunId},
    triggers::{DeliverySource, VerdictKind},
};
use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use serde::Serialize;
use telemetry::SpanKind;

pub(crate) use self::committers::Committers;
pub use self::{
    body::{BodyBudget, BufferedBody, DEFAULT_BUFFER_BYTES, MAX_BODY_BYTES},
    secrets::PlatformSecrets,
    signature::{HookSecret, Signature},
};
use self::{
    committers::OwnedArrival,
    headers::{WebhookHeaders, wrong_signature},
};
use crate::{app::AppState, problem::Problem, requests::note};

/// The forge hangs up after 10 s and counts the delivery as failed; 8 s are promised, and the answer needs its way.
const ANSWER_LIMIT: Duration = Duration::from_millis(7_500);

/// Bodies from here on are worked through aside, so that they hold up nobody else's request.
const LARGE_BODY: usize = 512 * 1024;

/// The answer to a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Accepted {
    /// The row of the ledger.
    pub delivery: DeliveryId,
    /// What was decided.
    pub verdict: VerdictKind,
    /// Why, as a sentence.
    pub reason: String,
    /// The run it started, told or found.
    pub run: Option<RunId>,
    /// How it first came here.
    pub source: DeliverySource,
}

/// Takes a webhook.
pub(crate) async fn receive(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    // The forge does not send again what it has no room or time for with us: it is read back from the hook's log.
    let gap = state.gaps().open(&headers);
    let accepting = tokio::time::timeout(ANSWER_LIMIT, accept(&state, &headers, body));
    let accepted = accepting.await.unwrap_or_else(|_| {
        Err(Problem::unavailable("too_slow", "the webhook could not be stored in time; try again in a moment", 10))
    });
    if accepted.as_ref().err().is_none_or(|problem| !is_missed(problem)) {
        gap.close();
    }
    Ok((StatusCode::ACCEPTED, Json(accepted?)))
}

/// Whether a webhook that is refused so is one that we want to have all the same.
fn is_missed(problem: &Problem) -> bool {
    problem.status.is_server_error() || problem.status == StatusCode::PAYLOAD_TOO_LARGE
}

async fn accept(state: &AppState, headers: &HeaderMap, body: axum::body::Body) -> Result<Accepted, Problem> {
    body::refuse_announced(headers)?;
    let webhook = WebhookHeaders::read(headers)?;
    let received_at = state.now();
    let body = state.body_budget().read(body).await?;
    let hook = secrets::hook(state, webhook.hook_id).await?;
    let event = open(&webhook, hook.secrets, body.bytes.clone()).await?.map_err(|_| broken_json(headers))?;
    let arrival = OwnedArrival {
        hook_key: webhook.hook_id.unwrap_or(0),
        guid: webhook.guid,
        spoken_for: hook.repository,
        event,
        body,
        received_at,
    };
    let mut span = state.telemetry().tracer.root("webhook", SpanKind::Server);
    let recorded = state.committers().record(arrival).await?;
    state.telemetry().metrics.delivery(DeliverySource::Webhook, recorded.verdict);
    note("delivery", recorded.delivery);
    note("verdict", recorded.verdict);
    if let Some(run) = recorded.run {
        note("run", run);
    }
    span.note("codexk8s.delivery", recorded.delivery);
    span.note("codexk8s.verdict", recorded.verdict);
    if let Some(workflow_id) = recorded.workflow_id {
        state.telemetry().trace_attempt(state.store(), &workflow_id, &span).await;
        state.dispatcher().spawn(workflow_id);
    }
    Ok(Accepted {
        delivery: recorded.delivery,
        verdict: recorded.verdict,
        reason: recorded.reason,
        run: recorded.run,
        source: recorded.source,
    })
}

/// Checks the signature, then reads the event. The outer error is about the signature, the inner one about the JSON.
async fn open(
    webhook: &WebhookHeaders,
    secrets: Vec<HookSecret>,
    bytes: Bytes,
) -> Result<Result<Event, domain::event::EventError>, Problem> {
    let (signature, name, length) = (webhook.signature, webhook.event.clone(), bytes.len());
    let work = move || {
        let fits = signature.is_made_with_one_of(&secrets, &bytes);
        fits.then(|| Event::parse(&name, &bytes)).ok_or_else(wrong_signature)
    };
    if length < LARGE_BODY {
        return work();
    }
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "reading a webhook broke off");
        Err(Problem::internal())
    })
}

fn broken_json(headers: &HeaderMap) -> Problem {
    let form = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    let detail = if form {
        "the body is a form; set the hook's content type to application/json"
    } else {
        "the body is not JSON"
    };
    Problem::bad_request("body_not_json", detail)
}
