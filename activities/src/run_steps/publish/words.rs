//! An agent's words become a review or an answer, found again by a marker.

use domain::{
    agents::AgentRole,
    forge_text,
    job::JobReport,
    run::{Outcome, answer_marker},
    sentences,
};
use forge::{CommentSearch, IssueNumber, PullNumber};
use store::IntentKind;
use workflows::messages::RunEnd;

use crate::{
    failure::StepError,
    forge_access::ForgeRepo,
    platform::Platform,
    run_context::{Cloned, RunContext},
    write_intent::intend,
};

/// What posting words needs.
pub(super) struct Words<'a> {
    pub(super) platform: &'a Platform,
    pub(super) context: &'a RunContext,
    pub(super) cloned: &'a Cloned,
    pub(super) report: &'a JobReport,
    pub(super) forge: &'a ForgeRepo,
}

impl Words<'_> {
    pub(super) async fn publish(&self, role: AgentRole) -> Result<RunEnd, StepError> {
        let words = self.report.last_message.clone().unwrap_or_default();
        let scanned = words.clone();
        let findings = secret_scan::aside(move || secret_scan::scan_text("the agent's words", &scanned)).await?;
        if !findings.is_empty() {
            let cause = sentences::secret_in_words().to_owned();
            return Ok(RunEnd { outcome: Outcome::Refused, cause });
        }
        let marker = answer_marker(self.context.at.run);
        let body = forge_text::agent_words(&marker, &self.context.run.agent, &words);
        let (outcome, cause) = if role == AgentRole::Review {
            self.review(&marker, &body).await?;
            (Outcome::ReviewPosted, sentences::review_posted())
        } else {
            self.answer(&marker, &body).await?;
            (Outcome::AnswerPosted, sentences::answer_posted())
        };
        Ok(RunEnd { outcome, cause: cause.to_owned() })
    }

    /// Posts a review that neither approves nor refuses.
    async fn review(&self, marker: &str, body: &str) -> Result<(), StepError> {
        let number = PullNumber(self.context.run.subject.number);
        let (provider, repo) = (&self.forge.provider, &self.forge.repo);
        if provider.find_review(repo, number, marker).await?.is_some() {
            return Ok(());
        }
        let base = &self.cloned.base_sha;
        let commit = base.parse().map_err(|_| StepError::fatal("store_corrupt", "the base is no commit"))?;
        self.platform.forge.pace(self.forge).await?;
        let intent = intend(self.platform, self.context, IntentKind::Review, marker).await?;
        let posted = provider.create_review(repo, number, &commit, body).await?;
        intent.done(Some(posted.id.get())).await
    }

    /// Posts an answer as a comment.
    async fn answer(&self, marker: &str, body: &str) -> Result<(), StepError> {
        let number = IssueNumber(self.context.run.subject.number);
        let (provider, repo) = (&self.forge.provider, &self.forge.repo);
        let search = CommentSearch { marker, since: Some(self.context.run.created_at), author_is_me: true };
        if provider.find_comment(repo, number, search).await?.is_some() {
            return Ok(());
        }
        self.platform.forge.pace(self.forge).await?;
        let intent = intend(self.platform, self.context, IntentKind::Comment, marker).await?;
        let posted = provider.create_comment(repo, number, body).await?;
        intent.done(Some(posted.id.get())).await
    }
}
