//! The threads of a review that the agent says it has answered get its answer, found again by a marker.

use std::collections::BTreeMap;

use domain::{agents::read_answers, forge_text, run::reply_marker, triggers::Trigger};
use forge::{CommentId, PullNumber, ReviewComment, ReviewId};
use store::IntentKind;

use super::change::Change;
use crate::{failure::StepError, write_intent::intend};

/// Most threads that one run answers: each is a write of the credential's hour.
const MAX_REPLIES: usize = 30;

/// Answers the threads of the review that asked for this run, and of no other.
pub(super) async fn post(change: &Change<'_>, head_sha: &str) -> Result<(), StepError> {
    let Trigger::Review { review_id, .. } = change.context.run.trigger else { return Ok(()) };
    let message = change.report.last_message.clone().unwrap_or_default();
    let answers = read_answers(&message).by_comment;
    if answers.is_empty() {
        return Ok(());
    }
    let number = PullNumber(change.context.run.subject.number);
    let comments = change.forge.provider.review_comments(&change.forge.repo, number).await?;
    for (comment, words) in wanted(&comments, ReviewId(review_id), &answers) {
        let marker = reply_marker(change.context.at.run, comment.get());
        if comments.iter().any(|known| known.body.contains(&marker)) {
            continue;
        }
        let body = forge_text::reply(&marker, words, head_sha);
        change.platform.forge.pace(change.forge).await?;
        let intent = intend(change.platform, change.context, IntentKind::Comment, &marker).await?;
        let posted = change.forge.provider.reply_to_review_comment(&change.forge.repo, number, comment, &body).await?;
        intent.done(Some(posted.id.get())).await?;
    }
    Ok(())
}

/// An agent may name any number: only the first comments of this review's threads are answered.
fn wanted<'a>(
    comments: &[ReviewComment],
    review: ReviewId,
    answers: &'a BTreeMap<i64, String>,
) -> Vec<(CommentId, &'a str)> {
    let asked = comments.iter().filter(|comment| comment.review == Some(review) && comment.in_reply_to.is_none());
    asked.filter_map(|comment| Some((comment.id, answers.get(&comment.id.get())?.as_str()))).take(MAX_REPLIES).collect()
}
