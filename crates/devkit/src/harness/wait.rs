//! Waiting for a condition: never for a time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Looks again and again until there is something, or the patience is spent.
///
/// # Errors
/// Those of looking.
pub async fn until<T>(
    patience: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<Option<T>> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look().await? {
            return Ok(Some(found));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        sleep(Duration::from_millis(25)).await;
    }
}
