//! Show the stored state on the forge: sticky comment, state label, commit status.
//!
//! A projection of the row, so running it twice, late or beside itself does no harm: after writing, the row is read again. If the run
//! has ended, that is written now; if it has only moved on, the workflow is told, which shows it after its pause. What took so long that
//! a later look may have come before it is written anew at once, too. Where the forge is to be left alone for a while, a run that goes on is
//! shown after that, and its end is not held up by it.

mod refusal;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use chrono::{DateTime, Utc};
use domain::{
    forge_text::{self, Continues},
    intent::label_key,
    job::Resumed,
    run::{Outcome, RunState, STATUS_CONTEXT, StateLabel, Step, comment_marker, state_label},
};
use forge::{Account, AccountId, CommentId, CommentSearch, ForgeError, IssueNumber, NewStatus, StatusState, labels};
use store::{
    IntentKind, PgConnection, attempts, checkpoints, egress, ends,
    locks::Turn,
    model_calls,
    pacing::{self, Urgency},
    runs::{self, Facts},
    steps,
};
use tokio::time::Instant;
use workflows::{
    messages::{RunRef, Shown},
    options::HEARTBEAT,
};

use crate::{
    failure::StepError,
    forge_access::ForgeRepo,
    platform::Platform,
    progress,
    run_context::RunContext,
    run_steps::authorise::may_write,
    write_intent::{Intended, intend},
    write_pace::Line,
};

/// Seconds until the next change is worth an edit, and when the credential's hour is nearly spent.
const PAUSE_SECS: u64 = 5;
const SPARING_PAUSE_SECS: u64 = 60;

/// Writes left in the hour below which only the important is shown.
const SPARING_BELOW: u32 = 100;

/// The row can move while the forge is slow, but not for ever.
const ROUNDS: u32 = 4;

/// A look that takes longer may write after a later one, which was begun because nothing was heard of this one.
const OVERTAKEN: Duration = Duration::from_secs(HEARTBEAT.as_secs() / 2);

/// Shows the stored state on the forge.
///
/// # Errors
/// See [`StepError`].
pub async fn run(platform: &Platform, at: RunRef) -> Result<Shown, StepError> {
    let mut shown = Shown { pause_secs: PAUSE_SECS, moved_on: false };
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        shown.moved_on = false;
        let context = RunContext::load(platform, at).await?;
        if context.run.attempt != at.attempt {
            break; // A later attempt shows itself.
        }
        let forge = match context.forge(platform).await {
            Err(StepError::NotBefore { at, .. }) if context.run.outcome.is_none() => return Ok(later(platform, at)),
            forge => forge?,
        };
        if let Some(refused) = refusal::of(platform, &context).await? {
            refused.show(platform, &context, &forge).await?;
            end_is_shown(platform, &context).await?;
            break;
        }
        if context.run.outcome.is_some() && !may_be_shown(platform, &context).await? {
            end_is_shown(platform, &context).await?;
            break;
        }
        let show = Show::new(platform, &context, &forge, urgency(&context));
        match show.all().await {
            Err(StepError::NotBefore { at, .. }) if context.run.outcome.is_none() => return Ok(later(platform, at)),
            done => done?,
        }
        shown.pause_secs = show.pause().await?;
        end_is_shown(platform, &context).await?;
        let mut conn = platform.store.acquire().await?;
        let now = runs::get(&mut conn, at.run).await?;
        shown.moved_on =
            (now.state, now.step, now.slot_place) != (context.run.state, context.run.step, context.run.slot_place);
        if !shown.moved_on || now.outcome.is_none() && begun.elapsed() < OVERTAKEN {
            break;
        }
    }
    Ok(shown)
}

/// There is something to show, and not before then.
fn later(platform: &Platform, at: DateTime<Utc>) -> Shown {
    let wait = (at - platform.now()).to_std().unwrap_or_default();
    Shown { pause_secs: wait.as_secs() + 1, moved_on: true }
}

/// The end is always shown: it may take the writes that are kept back for it.
fn urgency(context: &RunContext) -> Urgency {
    if context.run.state == RunState::Finished { Urgency::Final } else { Urgency::Ordinary }
}

/// Shows on the sticky comment that a step waits, if there is a comment and a write to spare. What can't be shown now is
/// shown with the next change, so nothing fails here.
pub(crate) async fn show_wait(platform: &Platform, at: RunRef) {
    let shown = async {
        let context = RunContext::load(platform, at).await?;
        let Some(id) = context.run.comment_id.filter(|_| context.run.attempt == at.attempt) else { return Ok(()) };
        let forge = context.forge(platform).await?;
        let show = Show::new(platform, &context, &forge, Urgency::Final);
        let body = show.body().await?;
        if platform.forge.take_write_if_free(&forge, show.urgency).await? {
            forge.provider.update_comment(&forge.repo, CommentId(id), &body).await?;
        }
        Ok::<_, StepError>(())
    };
    if let Err(error) = shown.await {
        tracing::debug!(run = %at.run, error = %error, "a wait could not be shown on the forge");
    }
}

/// A run that ended before its sender was looked at: outsiders get no stage.
async fn may_be_shown(platform: &Platform, context: &RunContext) -> Result<bool, StepError> {
    let at = context.at;
    let mut conn = platform.store.acquire().await?;
    if steps::output(&mut conn, progress::key(at, Step::Authorise)).await?.is_some() {
        return Ok(true);
    }
    let asked = attempts::requester(&mut conn, at.run, at.attempt).await?;
    drop(conn);
    let who = Account { login: asked.login, id: AccountId(asked.id) };
    Ok(may_write(platform, context, &who).await?.allowed)
}

/// So that no reconciler shows it again. Nothing while the run goes on.
async fn end_is_shown(platform: &Platform, context: &RunContext) -> Result<(), StepError> {
    if context.run.outcome.is_none() {
        return Ok(());
    }
    let mut conn = platform.store.acquire().await?;
    Ok(ends::shown(&mut conn, context.at.run, context.at.attempt, platform.now()).await?)
}

struct Show<'a> {
    platform: &'a Platform,
    context: &'a RunContext,
    forge: &'a ForgeRepo,
    urgency: Urgency,
    /// A write was allowed.
    begun: AtomicBool,
}

impl<'a> Show<'a> {
    fn new(platform: &'a Platform, context: &'a RunContext, forge: &'a ForgeRepo, urgency: Urgency) -> Self {
        Self { platform, context, forge, urgency, begun: AtomicBool::new(false) }
    }

    /// Waits until a write is allowed. What has begun to be shown is shown whole, before others begin.
    async fn pace(&self) -> Result<(), StepError> {
        let line = if self.begun.load(Ordering::Relaxed) { Line::Front } else { Line::End };
        self.platform.forge.pace_for(self.forge, self.context.at.run, (self.urgency, line)).await?;
        self.begun.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn number(&self) -> IssueNumber {
        IssueNumber(self.context.run.subject.number)
    }

    async fn all(&self) -> Result<(), StepError> {
        self.label().await?;
        self.comment().await?;
        self.status().await
    }

    /// One state label at a time: others go first, so that there are never two.
    async fn label(&self) -> Result<(), StepError> {
        let wanted = state_label(self.context.run.state, self.context.run.outcome);
        let provider = &self.forge.provider;
        let plan = labels::plan(&provider.labels(&self.forge.repo, self.number()).await?, wanted);
        for &old in &plan.remove {
            self.pace().await?;
            let intent = self.intend_label(old, false).await?;
            provider.remove_label(&self.forge.repo, self.number(), old.as_str()).await?;
            intent.done(None).await?;
        }
        if plan.add {
            self.pace().await?;
            let intent = self.intend_label(wanted, true).await?;
            provider.add_label(&self.forge.repo, self.number(), wanted.as_str(), labels::style(wanted)).await?;
            intent.done(None).await?;
        }
        Ok(())
    }

    async fn comment(&self) -> Result<(), StepError> {
        let body = self.body().await?;
        if let Some(id) = self.context.run.comment_id {
            self.pace().await?;
            match self.forge.provider.update_comment(&self.forge.repo, CommentId(id), &body).await {
                Ok(_) => return Ok(()),
                Err(ForgeError::NotFound | ForgeError::Gone { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.create_comment(&body).await
    }

    /// In turns, since between looking and writing another try of this activity could write too.
    async fn create_comment(&self, body: &str) -> Result<(), StepError> {
        let run = self.context.at.run;
        let place = self.platform.turns.place().await?;
        self.pace().await?;
        let mut turn = place.take(&Turn::sticky_comment(run)).await?;
        let marker = comment_marker(run);
        let search = CommentSearch { marker: &marker, since: Some(self.context.run.created_at), author_is_me: true };
        let found = self.forge.provider.find_comment(&self.forge.repo, self.number(), search).await?;
        let id = match found {
            Some(comment) if comment.body == body => comment.id,
            Some(comment) => self.forge.provider.update_comment(&self.forge.repo, comment.id, body).await?.id,
            None => {
                let intent = self.intend(IntentKind::Comment, &marker).await?;
                let comment = self.forge.provider.create_comment(&self.forge.repo, self.number(), body).await?;
                intent.done(Some(comment.id.get())).await?;
                comment.id
            }
        };
        runs::set_facts(turn.tx(), run, Facts { comment_id: Some(id.get()), ..Facts::default() }).await?;
        turn.done().await
    }

    /// On the head of our branch, once there is one.
    async fn status(&self) -> Result<(), StepError> {
        let run = &self.context.run;
        let Some(head) = run.head_sha.as_deref() else { return Ok(()) };
        let sha = head.parse().map_err(|_| StepError::fatal("store_corrupt", "the head is no commit"))?;
        let state = match (run.state, run.outcome) {
            (RunState::Finished, Some(outcome)) if outcome.is_success() => StatusState::Success,
            (RunState::Finished, Some(Outcome::Lost | Outcome::Failed)) => StatusState::Error,
            (RunState::Finished, _) => StatusState::Failure,
            _ => StatusState::Pending,
        };
        let description = forge_text::status_description(run.state, run.step, run.outcome);
        let there = self.forge.provider.statuses(&self.forge.repo, &sha).await?;
        // The newest comes first, and it alone counts: an attempt may end like one before the last.
        let newest = there.iter().find(|status| status.context == STATUS_CONTEXT);
        if newest.is_some_and(|status| status.state == state && status.description == description) {
            return Ok(());
        }
        self.pace().await?;
        let intent = self.intend(IntentKind::Status, head).await?;
        let status = NewStatus { state, context: STATUS_CONTEXT, description: &description, target_url: None };
        self.forge.provider.set_status(&self.forge.repo, &sha, &status).await?;
        intent.done(None).await
    }

    async fn body(&self) -> Result<String, StepError> {
        let run = &self.context.run;
        let mut conn = self.platform.store.acquire().await?;
        let steps = steps::list(&mut conn, run.id).await?;
        let kept = checkpoints::newest(&mut conn, run.id).await?;
        let continues = self.continues(&mut conn).await?;
        let after_lost = attempts::lost_before(&mut conn, run.id, run.attempt).await?;
        let refused = egress::list(&mut conn, run.id, run.attempt).await?;
        let calls = model_calls::sum_for_attempt(&mut conn, run.id, run.attempt).await?;
        let lines = steps.iter().filter(|row| row.attempt == run.attempt).map(|row| forge_text::StepLine {
            step: row.step,
            started_at: row.started_at,
            finished_at: row.finished_at,
            tries: row.tries,
            wait_until: row.wait_until,
        });
        let not_let_out = refused.iter().map(|refused| forge_text::NotLetOut {
            host: (refused.host != egress::OTHERS).then_some(refused.host.as_str()),
            port: refused.port,
            reason: refused.reason,
            count: refused.count,
        });
        Ok(forge_text::sticky_comment(&forge_text::StickyComment {
            run: run.id,
            attempt: run.attempt,
            agent: &run.agent,
            requested_by: &run.requested_by_login,
            state: run.state,
            step: run.step,
            outcome: run.outcome,
            cause: run.cause.as_deref(),
            slot_place: run.slot_place,
            pull_request: run.pr_number,
            after_lost: after_lost.as_deref(),
            continues,
            kept_at: kept.map(|kept| kept.at),
            steps: &lines.collect::<Vec<_>>(),
            not_let_out: &not_let_out.collect::<Vec<_>>(),
            model_calls: calls.calls,
            tokens: calls.usage.input_tokens + calls.usage.output_tokens,
            cost: calls.cost,
        }))
    }

    async fn continues(&self, conn: &mut PgConnection) -> Result<Continues, StepError> {
        let run = &self.context.run;
        let attempt = attempts::get(conn, run.id, run.attempt).await?;
        let Some(earlier) = attempt.continues else {
            return Ok(if attempt.asked_to_continue { Continues::Nothing } else { Continues::NotAsked });
        };
        let kept = checkpoints::of(conn, run.id, earlier).await?;
        let report = attempts::report(conn, run.id, run.attempt).await?;
        let resumed = report.and_then(|report| serde_json::from_value(report.get("resumed")?.clone()).ok()).flatten();
        Ok(match (kept, resumed) {
            (None, _) | (_, Some(Resumed::Nothing)) => Continues::Nothing,
            (Some(kept), Some(Resumed::Work)) => Continues::WithoutThread { at: kept.at, attempt: earlier },
            (Some(kept), Some(Resumed::Thread) | None) => Continues::Work { at: kept.at, attempt: earlier },
        })
    }

    async fn pause(&self) -> Result<u64, StepError> {
        let Some(credential) = self.context.repository.credential else { return Ok(PAUSE_SECS) };
        let mut conn = self.platform.store.acquire().await?;
        let left = pacing::left_this_hour(&mut conn, credential, self.platform.now()).await?;
        Ok(if left < SPARING_BELOW { SPARING_PAUSE_SECS } else { PAUSE_SECS })
    }

    async fn intend_label(&self, label: StateLabel, added: bool) -> Result<Intended<'_>, StepError> {
        self.intend(IntentKind::Label, &label_key(self.context.run.subject.number, label.as_str(), added)).await
    }

    async fn intend(&self, kind: IntentKind, key: &str) -> Result<Intended<'_>, StepError> {
        intend(self.platform, self.context, kind, key).await
    }
}
