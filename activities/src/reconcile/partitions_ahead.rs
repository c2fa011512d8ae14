//! Makes the partitions of the days and months to come. The default partitions catch what is missed.

use crate::{failure::StepError, platform::Platform};

pub(super) async fn run(platform: &Platform) -> Result<String, StepError> {
    let mut conn = platform.store.acquire().await?;
    let ensured = store::partitions::ensure(&mut conn, platform.now()).await?;
    if ensured.strays {
        tracing::error!("a default partition holds rows: partitions were not made in time, look at the days in it");
        return Ok(format!("made {} partitions; a default partition holds rows", ensured.made));
    }
    Ok(format!("made {} partitions", ensured.made))
}
