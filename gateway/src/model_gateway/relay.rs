//! Passing a call on and its answer back, byte by byte.

use axum::{
    body::{Body, BodyDataStream},
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header::CONTENT_LENGTH, header::CONTENT_TYPE};
use store::ModelCallKind;

use super::{
    ModelGateway,
    admission::{Admission, Admitted, admit},
    call::Call,
    exchange::{Answer, Exchange, Outcome},
    key_filter::KeyFilter,
    refusal,
    request::CallRequest,
    upstream::{Outgoing, returned},
};
use crate::{
    problem::{Chain, Foreign, Problem},
    runner_endpoint::RunnerAuth,
    webhooks::body::BodyBudget,
};

/// A conversation of an agent, with everything it has read.
pub(super) const MAX_CALL: usize = 64 * 1024 * 1024;

/// Bytes of calls held in memory over all requests.
const ROOM: usize = 256 * 1024 * 1024;

/// The memory that calls may take until they are sent.
pub(super) fn room() -> BodyBudget {
    BodyBudget::with_limit(ROOM, MAX_CALL)
}

/// `POST /v1/responses`
pub(super) async fn responses(
    State(gateway): State<ModelGateway>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    counted(&gateway, ModelCallKind::Responses, &headers, body).await
}

/// `POST /v1/embeddings`
pub(super) async fn embeddings(
    State(gateway): State<ModelGateway>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    counted(&gateway, ModelCallKind::Embeddings, &headers, body).await
}

/// `GET /v1/models`: costs nothing and is not counted.
pub(super) async fn models(State(gateway): State<ModelGateway>, headers: HeaderMap) -> Result<Response, Problem> {
    RunnerAuth::of_model_token(&gateway.store, &headers).await?;
    let unreachable = || Problem::new(StatusCode::BAD_GATEWAY, "model_unreachable", "the model API can't be reached");
    let target = gateway.providers.any(&gateway.telemetry).ok_or_else(unreachable)?;
    let out = Outgoing { method: Method::GET, path: "/v1/models", headers: &headers, body: Bytes::new(), id: None };
    let answer = target.upstream().send(&out, target.bearer()).await.map_err(|error| {
        tracing::warn!(error = %Chain(&error), "the model API gave no answer");
        unreachable()
    })?;
    let (parts, body) = answer.into_parts();
    Ok(passed_on(Answer { parts, body, target }, None))
}

async fn counted(
    gateway: &ModelGateway,
    kind: ModelCallKind,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let auth = RunnerAuth::of_model_token(&gateway.store, headers).await?;
    let announced: Option<u64> = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length| length > MAX_CALL as u64) {
        let detail = format!("a call has at most {MAX_CALL} bytes");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "call_too_large", detail));
    }
    let read = gateway.room.read(body).await?;
    let request = CallRequest::read(kind, headers, read.bytes.clone())?;
    let Admitted { mut call, body, deadline } = match admit(gateway, auth, &request).await? {
        Admission::Admitted(admitted) => *admitted,
        Admission::Stopped(stopped) => return Ok(refusal::answer(&stopped)),
    };
    call.trace().await;
    let path = match kind {
        ModelCallKind::Responses => "/v1/responses",
        ModelCallKind::Embeddings => "/v1/embeddings",
    };
    let id = HeaderValue::from_str(&call.id().0.to_string()).ok();
    let out = Outgoing { method: Method::POST, path, headers, body, id };
    let exchange = Exchange { gateway, call: &mut call, out, model: &request.model, deadline };
    let answer = match exchange.run().await? {
        Outcome::Answer(answer) => *answer,
        Outcome::Stopped(stopped) => {
            call.stop(stopped.clone());
            return Ok(refusal::answer(&stopped));
        }
    };
    let content_type = answer.parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    call.answered(answer.parts.status.as_u16(), content_type);
    Ok(passed_on(answer, Some(call)))
}

fn passed_on(answer: Answer, call: Option<Call>) -> Response {
    let Answer { parts, body, target } = answer;
    let headers = returned(&parts.headers, target.secret());
    let passage =
        Passage { answer: body.into_data_stream(), filter: KeyFilter::new(target.secret()), call, over: false };
    let body = Body::from_stream(stream::unfold(passage, |mut passage| async {
        passage.next().await.map(|piece| (piece, passage))
    }));
    (parts.status, headers, axum::Extension(Foreign), body).into_response()
}

/// An answer on its way to the caller.
struct Passage {
    answer: BodyDataStream,
    filter: KeyFilter,
    call: Option<Call>,
    over: bool,
}

impl Passage {
    async fn next(&mut self) -> Option<Result<Bytes, axum::Error>> {
        while !self.over {
            let piece = match self.answer.next().await {
                Some(Ok(bytes)) => {
                    if let Some(call) = &mut self.call {
                        call.saw(&bytes);
                    }
                    self.filter.push(bytes)
                }
                Some(Err(error)) => {
                    self.over = true;
                    if let Some(call) = &mut self.call {
                        call.broke_off();
                    }
                    return Some(Err(error));
                }
                None => {
                    self.over = true;
                    if let Some(call) = &mut self.call {
                        call.ended();
                    }
                    self.filter.finish()
                }
            };
            if !piece.is_empty() {
                if let Some(call) = &mut self.call {
                    call.passed_on(&piece);
                }
                return Some(Ok(piece));
            }
        }
        None
    }
}
