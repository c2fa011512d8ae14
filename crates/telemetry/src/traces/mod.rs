//! Traces over OTLP, if the settings name a collector: one trace from what asked for a run to its pull request.
//!
//! The first span's context is kept with the attempt. Whoever works for the attempt later, in whatever process, reads it there and
//! hangs its own span beneath. Without a collector none of this costs anything.

mod collector;

use std::{fmt, str::FromStr, time::Duration};

pub use opentelemetry::trace::SpanKind;
use opentelemetry::{
    Context, KeyValue,
    trace::{
        Span as _, SpanContext, SpanId, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer as _,
        TracerProvider as _,
    },
};
use opentelemetry_otlp::{WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider, Span as SdkSpan},
};

use self::collector::Collector;
use crate::catalogue::Role;

/// What is left when the role stops gets so long.
const LAST_SPANS: Duration = Duration::from_secs(5);

/// Why there can be no traces.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The endpoint can't be used.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT can't be used: {0}")]
    Endpoint(String),
}

/// Makes spans, or does nothing.
#[derive(Clone, Default)]
pub struct Tracer(Option<On>);

#[derive(Clone)]
struct On {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Tracer {
    /// Sends spans to a collector: in batches, from a thread of its own, and what it does not take is dropped. Must be called
    /// within a tokio runtime.
    ///
    /// # Errors
    /// When the endpoint is no address, or needs root certificates that are not there.
    pub fn to(endpoint: &str, role: Role) -> Result<Self, TraceError> {
        let address = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let collector = Collector::new(&address)?;
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(collector)
            .with_endpoint(address)
            .build()
            .map_err(|error| TraceError::Endpoint(error.to_string()))?;
        let resource = Resource::builder().with_service_name(format!("codex-k8s-{}", role.name())).build();
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        let tracer = provider.tracer("codex-k8s");
        Ok(Self(Some(On { provider, tracer })))
    }

    /// Whether spans go anywhere.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Begins a trace.
    #[must_use]
    pub fn root(&self, name: &'static str, kind: SpanKind) -> Span {
        self.begin(name.to_owned(), kind, &Context::new())
    }

    /// Begins a span beneath another, which may be in another process.
    #[must_use]
    pub fn beneath(&self, parent: &TraceParent, name: String, kind: SpanKind) -> Span {
        self.begin(name, kind, &Context::new().with_remote_span_context(parent.0.clone()))
    }

    fn begin(&self, name: String, kind: SpanKind, context: &Context) -> Span {
        let Some(on) = &self.0 else { return Span::none() };
        Span(Some(on.tracer.span_builder(name).with_kind(kind).start_with_context(&on.tracer, context)))
    }

    /// Sends what has not been sent yet.
    pub async fn finish(&self) {
        let Some(On { provider, .. }) = self.0.clone() else { return };
        let finished = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(LAST_SPANS)).await;
        if !matches!(finished, Ok(Ok(()))) {
            tracing::debug!("the last spans did not reach the collector");
        }
    }
}

/// A span; it ends when it is dropped.
pub struct Span(Option<SdkSpan>);

impl Span {
    /// One that goes nowhere.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// By which others can hang theirs beneath; none if it goes nowhere.
    #[must_use]
    pub fn parent(&self) -> Option<TraceParent> {
        self.0.as_ref().map(|span| TraceParent(span.span_context().clone()))
    }

    /// Adds a particular. Never a secret, and no text of outsiders.
    pub fn note(&mut self, name: &'static str, value: impl fmt::Display) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new(name, value.to_string()));
        }
    }

    /// What it stands for has failed.
    pub fn fail(&mut self, code: &str) {
        if let Some(span) = &mut self.0 {
            span.set_status(Status::error(code.to_owned()));
        }
    }
}

/// A span's place in its trace, in W3C's text form `00-<trace>-<span>-<flags>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceParent(SpanContext);

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let context = &self.0;
        write!(f, "00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags().to_u8())
    }
}

/// A text that is no trace context of the version that we write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no trace context")]
pub struct NoTraceParent;

impl FromStr for TraceParent {
    type Err = NoTraceParent;

    fn from_str(text: &str) -> Result<Self, NoTraceParent> {
        let [version, trace, span, flags]: [&str; 4] =
            text.split('-').collect::<Vec<_>>().try_into().map_err(|_| NoTraceParent)?;
        let hex = |text: &str, length: usize| {
            text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'))
        };
        if version != "00" || !hex(trace, 32) || !hex(span, 16) || !hex(flags, 2) {
            return Err(NoTraceParent);
        }
        let trace = TraceId::from_hex(trace).map_err(|_| NoTraceParent)?;
        let span = SpanId::from_hex(span).map_err(|_| NoTraceParent)?;
        let flags = TraceFlags::new(u8::from_str_radix(flags, 16).map_err(|_| NoTraceParent)?);
        let context = SpanContext::new(trace, span, flags, true, TraceState::default());
        context.is_valid().then_some(Self(context)).ok_or(NoTraceParent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_is_w3cs() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(text.parse::<TraceParent>().unwrap().to_string(), text);
        for wrong in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        ] {
            assert_eq!(wrong.parse::<TraceParent>(), Err(NoTraceParent), "{wrong}");
        }
    }

    #[test]
    fn without_a_collector_nothing_is_made() {
        let tracer = Tracer::default();
        let mut span = tracer.root("webhook", SpanKind::Server);
        span.note("verdict", "started");
        span.fail("passing");
        assert_eq!((tracer.is_on(), span.parent()), (false, None));
    }

    #[tokio::test]
    async fn a_collector_that_is_not_there_holds_nothing_up() {
        let tracer = Tracer::to("http://127.0.0.1:1/", Role::Gateway).unwrap();
        let root = tracer.root("webhook", SpanKind::Server);
        let parent = root.parent().unwrap();
        let child = tracer.beneath(&parent, "activity settle".to_owned(), SpanKind::Internal);
        let (above, below) = (parent.to_string(), child.parent().unwrap().to_string());
        assert_eq!(above[3..35], below[3..35], "one trace");
        assert_ne!(above, below);
        drop((child, root));
        tracer.finish().await;
    }

    #[tokio::test]
    async fn an_endpoint_that_is_none_is_refused() {
        for wrong in ["collector:4318", "ftp://collector", "not an address"] {
            assert!(Tracer::to(wrong, Role::Gateway).is_err(), "{wrong}");
        }
    }
}
