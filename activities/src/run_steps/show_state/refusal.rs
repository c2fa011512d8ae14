//! Telling somebody that they may not start an agent: politely, once an issue, a few times an hour, and on public
//! repositories not at all, where every stranger could make us speak.

use chrono::TimeDelta;
use domain::{forge_text, run::comment_marker};
use forge::{CommentSearch, IssueNumber};
use store::{
    IntentKind, locks,
    refusals::{self, Refusal},
};

use crate::{
    failure::StepError, forge_access::ForgeRepo, platform::Platform, run_context::RunContext, write_intent::intend,
};

/// Comments of this kind that a repository gets within an hour.
const COMMENTS_AN_HOUR: u32 = 5;

/// Records the refusal, and says it on the issue if that is in order.
pub(super) async fn show(platform: &Platform, context: &RunContext, forge: &ForgeRepo) -> Result<(), StepError> {
    let subject_number = context.run.subject.number;
    let repository = context.repository.id;
    let now = platform.now();
    let mut tx = platform.store.begin().await?;
    locks::sticky_comment(&mut tx, context.at.run).await?;
    let told_lately = refusals::count_since(&mut tx, repository, now - TimeDelta::hours(1)).await?;
    let told_here = refusals::commented_on(&mut tx, repository, subject_number).await?;
    let speak = context.repository.private && !told_here && told_lately < COMMENTS_AN_HOUR;
    if speak {
        say(platform, context, forge).await?;
    }
    refusals::record(&mut tx, Refusal { run: context.at.run, repository, subject_number, commented: speak, now })
        .await?;
    tx.commit().await.map_err(store::StoreError::from)?;
    Ok(())
}

async fn say(platform: &Platform, context: &RunContext, forge: &ForgeRepo) -> Result<(), StepError> {
    let marker = comment_marker(context.at.run);
    let number = IssueNumber(context.run.subject.number);
    let search = CommentSearch { marker: &marker, since: Some(context.run.created_at), author_is_me: true };
    if forge.provider.find_comment(&forge.repo, number, search).await?.is_some() {
        return Ok(());
    }
    let cause = context.run.cause.as_deref().unwrap_or_default();
    let body = forge_text::refusal_comment(&marker, &context.run.requested_by_login, cause);
    let intent = intend(platform, context, IntentKind::Comment, &marker).await?;
    platform.forge.pace(forge).await?;
    let posted = forge.provider.create_comment(&forge.repo, number, &body).await?;
    intent.done(Some(posted.id.get())).await
}
