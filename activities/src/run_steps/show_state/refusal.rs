//! Telling somebody that they may not start an agent: politely, once an issue, a few times an hour, and on public
//! repositories not at all, where every stranger could make us speak.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    forge_text,
    run::{Outcome, Step, comment_marker, refusal_marker},
};
use forge::{CommentSearch, IssueNumber};
use store::{
    IntentKind, PgConnection, attempts,
    locks::Turn,
    refusals::{self, Refusal},
};

use crate::{
    failure::StepError, forge_access::ForgeRepo, platform::Platform, run_context::RunContext, write_intent::intend,
};

/// Comments of this kind that a repository gets within an hour.
const COMMENTS_AN_HOUR: u32 = 5;

/// Somebody was refused.
pub(super) struct Refused {
    login: String,
    cause: String,
    marker: String,
}

/// Whether an attempt was refused at its very beginning: the run itself, or a retry that leaves the run as it was.
pub(super) async fn of(platform: &Platform, context: &RunContext) -> Result<Option<Refused>, StepError> {
    let (run, at) = (&context.run, context.at);
    let itself = (run.outcome, run.step) == (Some(Outcome::Refused), Some(Step::Authorise));
    let mut conn = platform.store.acquire().await?;
    let attempt = attempts::get(&mut conn, at.run, at.attempt).await?;
    if !itself && !attempt.withdrawn {
        return Ok(None);
    }
    let login = attempts::requester(&mut conn, at.run, at.attempt).await?.login;
    let marker = if itself { comment_marker(at.run) } else { refusal_marker(at.run, at.attempt) };
    Ok(Some(Refused { login, cause: attempt.cause.unwrap_or_default(), marker }))
}

/// Whether something may be said about it on the issue.
async fn may_speak(conn: &mut PgConnection, context: &RunContext, now: DateTime<Utc>) -> Result<bool, StepError> {
    let repository = context.repository.id;
    let told_lately = refusals::count_since(conn, repository, now - TimeDelta::hours(1)).await?;
    let told_here = refusals::commented_on(conn, repository, context.run.subject.number).await?;
    Ok(context.repository.private && !told_here && told_lately < COMMENTS_AN_HOUR)
}

impl Refused {
    /// Records the refusal, and says it on the issue if that is in order.
    pub(super) async fn show(
        &self,
        platform: &Platform,
        context: &RunContext,
        forge: &ForgeRepo,
    ) -> Result<(), StepError> {
        let subject_number = context.run.subject.number;
        let repository = context.repository.id;
        let now = platform.now();
        let place = platform.turns.place().await?;
        if may_speak(&mut *platform.store.acquire().await?, context, now).await? {
            platform.forge.pace(forge).await?;
        }
        let mut turn = place.take(&Turn::sticky_comment(context.at.run)).await?;
        let speak = may_speak(turn.tx(), context, now).await?;
        if speak {
            self.say(platform, context, forge).await?;
        }
        let refusal = Refusal { run: context.at.run, repository, subject_number, commented: speak, now };
        refusals::record(turn.tx(), refusal).await?;
        turn.done().await
    }

    async fn say(&self, platform: &Platform, context: &RunContext, forge: &ForgeRepo) -> Result<(), StepError> {
        let number = IssueNumber(context.run.subject.number);
        let search = CommentSearch { marker: &self.marker, since: Some(context.run.created_at), author_is_me: true };
        if forge.provider.find_comment(&forge.repo, number, search).await?.is_some() {
            return Ok(());
        }
        let body = forge_text::refusal_comment(&self.marker, &self.login, &self.cause);
        let intent = intend(platform, context, IntentKind::Comment, &self.marker).await?;
        let posted = forge.provider.create_comment(&forge.repo, number, &body).await?;
        intent.done(Some(posted.id.get())).await
    }
}
