//! May this person cancel the run? The one who asked for it may; else it takes the right to start one.

use forge::{Account, AccountId};
use store::attempts;
use workflows::messages::{Authorised, CancelCheck};

use super::authorise::may_write;
use crate::{failure::StepError, platform::Platform, run_context::RunContext};

/// Asks whether this person may end the run.
///
/// # Errors
/// See [`StepError`].
pub async fn run(platform: &Platform, check: &CancelCheck) -> Result<Authorised, StepError> {
    let context = RunContext::load(platform, check.at).await?;
    if context.run.requested_by_id == check.request.by_id {
        let reason = format!("{} asked for this run", check.request.by);
        return note(platform, check, Authorised { allowed: true, reason }).await;
    }
    let who = Account { login: check.request.by.clone(), id: AccountId(check.request.by_id) };
    let answer = may_write(platform, &context, &who).await?;
    note(platform, check, answer).await
}

/// The wish of who may have it is written down: a Job that is lost at the same moment is not followed by another.
async fn note(platform: &Platform, check: &CancelCheck, answer: Authorised) -> Result<Authorised, StepError> {
    if answer.allowed {
        let mut conn = platform.store.acquire().await?;
        attempts::request_cancel(&mut conn, check.at.run, check.at.attempt, platform.now()).await?;
    }
    Ok(answer)
}
