//! Makes the partitions of the days and months to come. The default partitions catch what is missed.

use std::time::Duration;

use crate::platform::Platform;

/// Partitions are made weeks ahead, so an hour more or less does not matter.
const PERIOD: Duration = Duration::from_secs(60 * 60);

/// Makes them now and then until dropped.
pub async fn keep(platform: &Platform) {
    loop {
        if let Err(error) = ensure(platform).await {
            tracing::warn!(error = %error, "partitions could not be made ahead");
        }
        tokio::time::sleep(PERIOD).await;
    }
}

async fn ensure(platform: &Platform) -> store::Result<()> {
    let mut conn = platform.store.acquire().await?;
    let ensured = store::partitions::ensure(&mut conn, platform.now()).await?;
    if ensured.strays {
        tracing::error!("a default partition holds rows: partitions were not made in time, look at the days in it");
    }
    Ok(())
}
