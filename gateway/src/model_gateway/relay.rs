//! Passing a call on and its answer back, byte by byte.

use axum::{
    body::{Body, BodyDataStream},
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderMap, Method, StatusCode, header::CONTENT_LENGTH, header::CONTENT_TYPE};

use super::{ModelGateway, call::Call, key_filter::KeyFilter};
use crate::{
    problem::{Chain, Foreign, Problem},
    runner_endpoint::RunnerAuth,
};

/// A conversation of an agent, with everything it has read.
const MAX_CALL: u64 = 64 * 1024 * 1024;

/// `POST /v1/responses`: counted.
pub(super) async fn responses(
    State(gateway): State<ModelGateway>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let auth = RunnerAuth::of_model_token(&gateway.store, &headers).await?;
    let announced: Option<u64> = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length| length > MAX_CALL) {
        let detail = format!("a call has at most {MAX_CALL} bytes");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "call_too_large", detail));
    }
    let call = Call::begin(&gateway, auth).await?;
    relay(&gateway, Method::POST, "/v1/responses", (&headers, body), Some(call)).await
}

/// `GET /v1/models`: costs nothing and is not counted.
pub(super) async fn models(State(gateway): State<ModelGateway>, headers: HeaderMap) -> Result<Response, Problem> {
    RunnerAuth::of_model_token(&gateway.store, &headers).await?;
    relay(&gateway, Method::GET, "/v1/models", (&headers, Body::empty()), None).await
}

async fn relay(
    gateway: &ModelGateway,
    method: Method,
    path: &'static str,
    (headers, body): (&HeaderMap, Body),
    mut call: Option<Call>,
) -> Result<Response, Problem> {
    let answer = gateway.upstream.send(method, path, headers, body).await.map_err(|error| {
        tracing::warn!(error = %Chain(&error), "the model API gave no answer");
        Problem::new(StatusCode::BAD_GATEWAY, "model_unreachable", "the model API can't be reached")
    })?;
    let (parts, body) = answer.into_parts();
    if let Some(call) = &mut call {
        let content_type = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        call.answered(parts.status.as_u16(), content_type);
    }
    let passage =
        Passage { answer: body.into_data_stream(), filter: KeyFilter::new(gateway.upstream.key()), call, over: false };
    let body = Body::from_stream(stream::unfold(passage, |mut passage| async {
        passage.next().await.map(|piece| (piece, passage))
    }));
    Ok((parts.status, gateway.upstream.returned(&parts.headers), axum::Extension(Foreign), body).into_response())
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
                return Some(Ok(piece));
            }
        }
        None
    }
}
