//! SIGTERM and SIGINT cancel the job.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels the token as soon as the process is asked to end.
pub(crate) fn cancel_on_signals(cancel: &CancellationToken) -> std::io::Result<()> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut asked = signal(kind)?;
        let cancel = cancel.clone();
        tokio::spawn(async move {
            if asked.recv().await.is_some() {
                cancel.cancel();
            }
        });
    }
    Ok(())
}
