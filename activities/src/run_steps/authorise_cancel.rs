//! May this person cancel the run? The one who asked for it may; else it takes the right to start one.

use forge::{Account, AccountId};
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
        return Ok(Authorised { allowed: true, reason });
    }
    let who = Account { login: check.request.by.clone(), id: AccountId(check.request.by_id) };
    may_write(platform, &context, &who).await
}
