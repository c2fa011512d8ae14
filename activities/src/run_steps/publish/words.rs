//! An agent's words become a review or an answer.

use domain::{
    forge_text,
    job::JobReport,
    run::{Outcome, answer_marker},
};
use forge::{CommentSearch, IssueNumber, PullNumber};
use store::IntentKind;
use workflows::messages::RunEnd;

use crate::{
    failure::StepError,
    forge_access::ForgeRepo,
    platform::Platform,
    run_context::{Cloned, RunContext},
    secret_scan,
    write_intent::intend,
};

/// Posts a review that neither approves nor refuses. Found again by its marker.
pub(super) async fn review(
    platform: &Platform,
    context: &RunContext,
    forge: &ForgeRepo,
    cloned: &Cloned,
    report: &JobReport,
) -> Result<RunEnd, StepError> {
    let marker = answer_marker(context.at.run);
    let body = match body(context, report, &marker) {
        Ok(body) => body,
        Err(end) => return Ok(end),
    };
    let number = PullNumber(context.run.subject.number);
    let done = || RunEnd { outcome: Outcome::ReviewPosted, cause: "The review is posted.".to_owned() };
    if forge.provider.find_review(&forge.repo, number, &marker).await?.is_some() {
        return Ok(done());
    }
    let commit = cloned.base_sha.parse().map_err(|_| StepError::fatal("store_corrupt", "the base is no commit"))?;
    let intent = intend(platform, context, IntentKind::Review, &marker).await?;
    platform.forge.pace(forge).await?;
    let posted = forge.provider.create_review(&forge.repo, number, &commit, &body).await?;
    intent.done(Some(posted.id.get())).await?;
    Ok(done())
}

/// Posts an answer as a comment. Found again by its marker.
pub(super) async fn answer(
    platform: &Platform,
    context: &RunContext,
    forge: &ForgeRepo,
    report: &JobReport,
) -> Result<RunEnd, StepError> {
    let marker = answer_marker(context.at.run);
    let body = match body(context, report, &marker) {
        Ok(body) => body,
        Err(end) => return Ok(end),
    };
    let number = IssueNumber(context.run.subject.number);
    let done = || RunEnd { outcome: Outcome::AnswerPosted, cause: "The answer is posted.".to_owned() };
    let search = CommentSearch { marker: &marker, since: Some(context.run.created_at), author_is_me: true };
    if forge.provider.find_comment(&forge.repo, number, search).await?.is_some() {
        return Ok(done());
    }
    let intent = intend(platform, context, IntentKind::Comment, &marker).await?;
    platform.forge.pace(forge).await?;
    let posted = forge.provider.create_comment(&forge.repo, number, &body).await?;
    intent.done(Some(posted.id.get())).await?;
    Ok(done())
}

fn body(context: &RunContext, report: &JobReport, marker: &str) -> Result<String, RunEnd> {
    let words = report.last_message.as_deref().unwrap_or_default();
    let refused = |cause: &str| RunEnd { outcome: Outcome::Refused, cause: cause.to_owned() };
    match secret_scan::scan_text("the agent's words", words) {
        Ok(findings) if findings.is_empty() => {}
        Ok(_) => return Err(refused("The agent's words are not posted because they seem to hold a secret.")),
        Err(error) => return Err(refused(&error.to_string())),
    }
    Ok(forge_text::agent_words(marker, &context.run.agent, words))
}
