//! Carries output to the platform while the job runs, and is its heartbeat.

use std::time::Duration;

use domain::job::LogBatch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    gateway::{Gateway, GatewayError, Pause},
    output::Output,
};

/// The platform hears of us at least this often.
const HEARTBEAT: Duration = Duration::from_secs(4);
/// Batches follow each other no faster than this. What is printed after a silence goes at once: somebody may be watching.
const GATHER: Duration = Duration::from_millis(120);

/// Sends output until the last of it is accepted or the platform knows the run no more. Cancels the job when the platform
/// says so.
pub(crate) async fn ship(gateway: Gateway, output: Output, cancel: CancellationToken) {
    let mut not_before = Instant::now();
    while !output.is_finished() {
        gather(&output, not_before).await;
        not_before = Instant::now() + GATHER;
        let batch = output.take();
        match send(&gateway, &batch, &output).await {
            Ok(true) => cancel.cancel(),
            Ok(false) => {}
            Err(error @ GatewayError::Fenced { .. }) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the platform ended this run");
                output.drop_batch(&batch);
                cancel.cancel();
                return;
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "output is lost");
                output.drop_batch(&batch);
            }
        }
    }
}

/// Waits for output, but no longer than a heartbeat, and with it until the next batch may go.
async fn gather(output: &Output, not_before: Instant) {
    let next_beat = Instant::now() + HEARTBEAT;
    if output.is_closed() {
        return;
    }
    let changed = tokio::time::timeout_at(next_beat, output.changed()).await.is_ok();
    if changed && !output.is_closed() {
        tokio::time::sleep_until(not_before).await;
    }
}

/// Sends one batch, as often as it takes; says whether the run is being cancelled.
async fn send(gateway: &Gateway, batch: &LogBatch, output: &Output) -> Result<bool, GatewayError> {
    let mut pause = Pause::default();
    loop {
        match gateway.logs(batch).await {
            Ok(ack) => return Ok(ack.cancel),
            // An empty batch is only a sign of life: the next one may carry more.
            Err(error) if error.may_pass() && batch.chunks.is_empty() && !output.is_closed() => {
                pause.wait().await;
                return Ok(false);
            }
            Err(error) if error.may_pass() => {
                tracing::warn!(error = &error as &dyn std::error::Error, "output will be sent again");
                pause.wait().await;
            }
            Err(error) => return Err(error),
        }
    }
}
