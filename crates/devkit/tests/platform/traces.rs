//! One run, one trace: from the webhook to the pull request, through every process.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, extract::State, routing::post};
use devkit::harness::Options;
use domain::run::Outcome;
use http::StatusCode;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value, trace::v1::Span,
};
use prost::Message;
use tokio::{net::TcpListener, task::JoinHandle};

/// A collector that remembers, with the name of the service that each span is of.
struct Collector {
    url: String,
    spans: Spans,
    task: JoinHandle<()>,
}

type Spans = Arc<Mutex<Vec<(String, Span)>>>;

impl Collector {
    async fn start() -> anyhow::Result<Self> {
        let spans = Spans::default();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&spans));
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, spans, task })
    }

    fn spans(&self) -> Vec<(String, Span)> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(spans): State<Spans>, body: axum::body::Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else { return StatusCode::BAD_REQUEST };
    let mut spans = spans.lock().unwrap_or_else(PoisonError::into_inner);
    for batch in request.resource_spans {
        let attributes = batch.resource.unwrap_or_default().attributes;
        let service = attributes.into_iter().find(|pair| pair.key == "service.name");
        let service = match service.and_then(|pair| pair.value?.value) {
            Some(Value::StringValue(name)) => name,
            other => panic!("a service without a name: {other:?}"),
        };
        let of_service = batch.scope_spans.into_iter().flat_map(|scope| scope.spans);
        spans.extend(of_service.map(|span| (service.clone(), span)));
    }
    StatusCode::OK
}

fn note<'a>(span: &'a Span, name: &str) -> Option<&'a str> {
    match span.attributes.iter().find(|pair| pair.key == name)?.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_one_trace() -> anyhow::Result<()> {
    let collector = Collector::start().await?;
    let options = Options { otlp_endpoint: Some(collector.url.clone()), ..super::defaults() };
    let platform = super::with(options).await?;
    platform.label(1, "run:dev")?;
    let run = platform.await_end(1).await?;
    assert_eq!(run.outcome, Some(Outcome::PullRequestOpen));

    let wanted = [
        ("codex-k8s-gateway", "dispatch start"),
        ("codex-k8s-gateway", "runner report"),
        ("codex-k8s-gateway", "dispatch signal"),
        ("codex-k8s-worker", "activity authorise"),
        ("codex-k8s-worker", "activity claim_slot"),
        ("codex-k8s-worker", "activity prepare_workspace"),
        ("codex-k8s-worker", "activity write_prompt"),
        ("codex-k8s-worker", "activity launch_job"),
        ("codex-k8s-worker", "activity watch_job"),
        ("codex-k8s-model-gateway", "model call"),
        ("codex-k8s-worker", "activity collect"),
        ("codex-k8s-worker", "activity publish"),
        ("codex-k8s-worker", "activity settle"),
        ("codex-k8s-worker", "activity show_state"),
        ("codex-k8s-worker", "activity archive_history"),
    ];
    let (root, spans) = platform
        .await_that("every part of the run has sent its span", async || {
            let spans = collector.spans();
            let started = |(_, span): &&(String, Span)| {
                span.name == "webhook" && note(span, "codexk8s.verdict") == Some("started")
            };
            let Some((_, root)) = spans.iter().find(started).cloned() else { return Ok(None) };
            let of_run: Vec<_> = spans.into_iter().filter(|(_, span)| span.trace_id == root.trace_id).collect();
            let names: BTreeSet<(&str, &str)> =
                of_run.iter().map(|(service, span)| (service.as_str(), span.name.as_str())).collect();
            let complete = wanted.iter().all(|name| names.contains(name));
            Ok(complete.then_some((root, of_run)))
        })
        .await?;
    assert!(root.parent_span_id.is_empty(), "{root:?}");
    let run = run.id.to_string();
    for (service, span) in &spans {
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
        if span.span_id != root.span_id {
            assert_eq!(span.parent_span_id, root.span_id, "{service} {}", span.name);
            assert_eq!(note(span, "codexk8s.run"), Some(run.as_str()), "{service} {}", span.name);
        }
    }
    let others = collector.spans().iter().filter(|(_, span)| span.trace_id != root.trace_id).count();
    assert!(others > 0, "our own writes come back as webhooks with traces of their own");
    platform.finish().await
}
