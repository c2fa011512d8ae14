//! What a role shows of itself: metrics, readiness, traces, and the port on which the first two can be asked for.
//!
//! Nothing here is global: each role has a [`Telemetry`] of its own, so that several can live in one process, as in tests.

pub mod catalogue;
pub mod database;
pub mod metrics;
pub mod ops;
pub mod readiness;
pub mod reference;
pub mod settings;
pub mod traces;

mod dispatch_result;

use std::sync::Arc;

use chrono::{DateTime, Utc};

use self::catalogue::Role;
pub use self::{
    metrics::Metrics,
    settings::TelemetrySettings,
    traces::{Span, SpanKind, TraceParent, Tracer},
};

/// The clock, passed in.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// What one role tells about itself.
pub struct Telemetry {
    /// Counts and measures.
    pub metrics: Metrics,
    /// Makes spans.
    pub tracer: Tracer,
    role: Role,
}

/// Why a role can't show itself.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The catalogue of metrics contradicts itself.
    #[error("the metrics can't be made")]
    Metrics(#[from] prometheus::Error),
    /// There can be no traces.
    #[error(transparent)]
    Traces(#[from] traces::TraceError),
}

impl Telemetry {
    /// For a role that is about to start. Must be called within a tokio runtime if there are to be traces.
    ///
    /// # Errors
    /// When the catalogue of metrics contradicts itself, or the collector's address can't be used.
    pub fn new(role: Role, settings: &TelemetrySettings) -> Result<Self, TelemetryError> {
        let tracer = settings.otlp_endpoint.as_ref().map(|endpoint| Tracer::to(endpoint, role)).transpose()?;
        Ok(Self { metrics: Metrics::new(role)?, tracer: tracer.unwrap_or_default(), role })
    }

    /// Whose it is.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }
}
