//! What is about to be written on the forge, stored first: so that its echo is known as ours even when it comes before the
//! answer.

use domain::intent::IntentKind;
use store::intents::{self, IntentId, NewIntent};

use crate::{failure::StepError, platform::Platform, run_context::RunContext};

/// A write that was announced.
#[derive(Debug)]
pub struct Intended<'a> {
    platform: &'a Platform,
    id: IntentId,
}

/// Announces a write.
///
/// # Errors
/// When the database is away.
pub async fn intend<'a>(
    platform: &'a Platform,
    context: &RunContext,
    kind: IntentKind,
    key: &str,
) -> Result<Intended<'a>, StepError> {
    let new =
        NewIntent { repository: context.repository.id, run: Some(context.at.run), kind, key, now: platform.now() };
    let id = intents::store(&mut *platform.store.acquire().await?, new).await?;
    Ok(Intended { platform, id })
}

impl Intended<'_> {
    /// Notes that the write is stored on the forge, and under which id if it has one.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn done(self, forge_id: Option<i64>) -> Result<(), StepError> {
        let mut conn = self.platform.store.acquire().await?;
        Ok(intents::done(&mut conn, self.id, forge_id, self.platform.now()).await?)
    }
}
