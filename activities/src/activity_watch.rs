//! Around every activity: how long each try took, the class of its failure, its span.

use std::{sync::Arc, time::Instant};

use domain::workflow_id;
use store::Store;
use telemetry::{Span, SpanKind, Telemetry};
use temporalio_common::ActivityError;
use temporalio_sdk::activities::ActivityInfo;
use temporalio_sdk::interceptors::{ActivityInboundInterceptor, ExecuteActivityInput, ExecuteActivityOutput, Next};

use crate::platform::Platform;

/// Counts activities.
pub(crate) struct ActivityWatch {
    telemetry: Arc<Telemetry>,
    store: Store,
}

impl ActivityWatch {
    pub(crate) fn new(platform: &Platform) -> Self {
        Self { telemetry: Arc::clone(&platform.telemetry), store: platform.store.clone() }
    }

    async fn span(&self, info: &ActivityInfo) -> Span {
        let Some(at) = info.workflow_id.as_deref().and_then(workflow_id::attempt_of) else { return Span::none() };
        let name = format!("activity {}", info.activity_type);
        let mut span = self.telemetry.span_of_attempt(&self.store, at, name, SpanKind::Internal).await;
        span.note("codexk8s.try", info.attempt);
        span
    }
}

impl ActivityInboundInterceptor for ActivityWatch {
    fn execute_activity<'a>(
        &'a self,
        input: ExecuteActivityInput,
        next: Next<'a, ExecuteActivityInput, ExecuteActivityOutput<'a>>,
    ) -> ExecuteActivityOutput<'a> {
        let activity = input.activity_info().activity_type.clone();
        Box::pin(async move {
            // Boxed: the wait that follows may take hours, and would keep room for this.
            let mut span = Box::pin(self.span(input.activity_info())).await;
            let began = Instant::now();
            let done = next.run(input).await;
            self.telemetry.metrics.activity(&activity, began.elapsed(), done.as_ref().err().map(code));
            if let Err(error) = &done {
                span.fail(code(error));
            }
            done
        })
    }
}

/// The class of a failure: one of the words that [`crate::failure::StepError`] has for it.
fn code(error: &ActivityError) -> &str {
    match error {
        ActivityError::Application(failure) => failure.type_name().unwrap_or("unnamed"),
        ActivityError::Cancelled { .. } => "cancelled",
        _ => "other",
    }
}
