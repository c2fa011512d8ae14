//! What every request goes through: its id, its one line in the log, and the last net under a panic.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use futures::FutureExt;
use http::{HeaderName, HeaderValue, header::CONTENT_LENGTH};
use telemetry::Telemetry;
use tracing::{Instrument, Span, field::Empty};
use uuid::Uuid;

use crate::problem::{Problem, adopt};

/// Names a request, on the way in and on the way out.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const MAX_REQUEST_ID: usize = 100;

/// The middleware; handlers add `delivery`, `run`, `attempt` and `person` to its span with [`note`].
pub(crate) async fn observe(State(telemetry): State<Arc<Telemetry>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let (method, route) = (request.method().clone(), request.extensions().get::<MatchedPath>().cloned());
    let id = request_id(&request);
    let span = tracing::info_span!(
        "request",
        request_id = %id,
        method = %request.method(),
        path = request.uri().path(),
        body_bytes = Empty,
        delivery = Empty,
        run = Empty,
        attempt = Empty,
        verdict = Empty,
        person = Empty,
    );
    if let Some(length) = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()) {
        span.record("body_bytes", length);
    }
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone()).await;
    let _entered = span.enter();
    let answer = answered.unwrap_or_else(|panic| {
        tracing::error!(panic = panic_text(panic.as_ref()), "a handler panicked");
        Problem::internal().render(&id)
    });
    let mut answer = adopt(answer, &id);
    if let Ok(value) = HeaderValue::from_str(&id) {
        answer.headers_mut().insert(REQUEST_ID, value);
    }
    let elapsed = began.elapsed();
    telemetry.metrics.http_request(route.as_ref().map(MatchedPath::as_str), &method, answer.status(), elapsed);
    let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let status = answer.status().as_u16();
    if status >= 500 {
        tracing::warn!(status, elapsed_ms, "answered");
    } else {
        tracing::info!(status, elapsed_ms, "answered");
    }
    answer
}

/// Adds a field to the line of the current request.
pub(crate) fn note(field: &'static str, value: impl std::fmt::Display) {
    Span::current().record(field, tracing::field::display(value));
}

/// The caller's own id if it is harmless, else a new one.
fn request_id(request: &Request) -> String {
    let given = request.headers().get(&REQUEST_ID).and_then(|value| value.to_str().ok());
    let harmless = |id: &&str| {
        !id.is_empty()
            && id.len() <= MAX_REQUEST_ID
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
    };
    given.filter(harmless).map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

#[cfg(test)]
mod tests {
    use axum::{Router, middleware, routing::get};
    use http::StatusCode;
    use telemetry::{TelemetrySettings, catalogue::Role};

    use super::*;

    async fn panics() -> &'static str {
        panic!("of course")
    }

    async fn ask(path: &str, id: Option<&str>) -> reqwest::Response {
        let app = Router::new().route("/panics", get(panics)).route("/fine", get(|| async { "fine" })).layer(
            middleware::from_fn_with_state(
                Arc::new(Telemetry::new(Role::Gateway, &TelemetrySettings::default()).unwrap()),
                observe,
            ),
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}{path}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let request = reqwest::Client::builder().no_proxy().build().unwrap().get(url);
        let request = match id {
            Some(id) => request.header(&REQUEST_ID, id),
            None => request,
        };
        let answer = request.send().await.unwrap();
        server.abort();
        answer
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_with_a_request_id() {
        let answer = ask("/panics", None).await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let id = answer.headers()[&REQUEST_ID].to_str().unwrap().to_owned();
        let body: serde_json::Value = answer.json().await.unwrap();
        assert_eq!((&body["code"], &body["request_id"]), (&"internal".into(), &id.into()));
        assert!(!body.to_string().contains("of course"));
    }

    #[tokio::test]
    async fn a_harmless_request_id_is_kept_and_another_replaced() {
        assert_eq!(ask("/fine", Some("trace-1.a:b_c")).await.headers()[&REQUEST_ID], "trace-1.a:b_c");
        let long = "x".repeat(MAX_REQUEST_ID + 1);
        for odd in ["two words", "{\"a\":1}", long.as_str(), ""] {
            let answer = ask("/fine", Some(odd)).await;
            let id = answer.headers()[&REQUEST_ID].to_str().unwrap();
            assert!(id.parse::<Uuid>().is_ok(), "{odd} became {id}");
        }
    }
}
