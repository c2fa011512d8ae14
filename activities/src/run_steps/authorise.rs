//! Is the sender allowed to do this? Asked from the forge now, since rights change and a webhook can be old.

use domain::{ids::Attempt, run::Step, triggers::Trigger};
use forge::{Account, AccountId};
use store::{attempts, runs::Run, steps};
use workflows::messages::{Authorised, RunRef};

use crate::{
    failure::StepError,
    platform::Platform,
    progress::{key, recorded},
    run_context::RunContext,
};

/// Asks the forge whether the sender may have this run; once for an attempt.
///
/// # Errors
/// See [`StepError`].
pub async fn run(platform: &Platform, at: RunRef) -> Result<Authorised, StepError> {
    if let Some(found) = earlier(platform, at).await? {
        return Ok(found);
    }
    let context = RunContext::load(platform, at).await?;
    recorded(platform, at, Step::Authorise, ask(platform, &context)).await
}

/// A worker may have come as far as the Job and died before the engine knew of any of it. Then it is begun anew, and nothing that the forge
/// says now may stand between the workflow and its Job.
async fn earlier(platform: &Platform, at: RunRef) -> Result<Option<Authorised>, StepError> {
    let found = steps::output(&mut *platform.store.acquire().await?, key(at, Step::Authorise)).await?;
    Ok(found.and_then(|found| serde_json::from_value(found).ok()))
}

async fn ask(platform: &Platform, context: &RunContext) -> Result<Authorised, StepError> {
    let at = context.at;
    if let Some(authorised) = by_the_settings(&context.run, at) {
        return Ok(authorised);
    }
    let asked = attempts::requester(&mut *platform.store.acquire().await?, at.run, at.attempt).await?;
    let who = Account { login: asked.login, id: AccountId(asked.id) };
    may_write(platform, context, &who).await
}

/// A schedule is in the settings on the default branch: who may merge there has said yes. A later attempt was asked for by
/// somebody, who is asked like anybody else.
fn by_the_settings(run: &Run, at: RunRef) -> Option<Authorised> {
    let Trigger::Schedule { name, .. } = &run.trigger else { return None };
    let reason = format!("schedule `{name}` is in the settings on the default branch");
    (at.attempt == Attempt::FIRST).then_some(Authorised { allowed: true, reason })
}

/// Shared with cancelling: the same right is asked for starting a run and for ending one.
pub(crate) async fn may_write(
    platform: &Platform,
    context: &RunContext,
    who: &Account,
) -> Result<Authorised, StepError> {
    let forge = context.forge(platform).await?;
    let permission = forge.provider.permission(&forge.repo, who).await?;
    let reason = if permission.can_write() {
        format!("{} may write to {}", who.login, forge.repo)
    } else {
        domain::sentences::no_write_access(&who.login, &forge.repo)
    };
    Ok(Authorised { allowed: permission.can_write(), reason })
}
