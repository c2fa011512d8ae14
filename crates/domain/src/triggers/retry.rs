//! What starts a new attempt of a run: `/retry`.

use super::{
    BusinessKey, EarlierWork, Effect, Facts, RetryRun, Verdict, VerdictKind,
    reason::{at_work, no_rule, plain},
    start::{about, sender_of},
    storm_guard,
};
use crate::{
    commands::RetryFrom,
    event::{CommentCreated, Event},
    run::Step,
    sentences,
};

pub(super) fn command(event: &Event, on: &CommentCreated, from: RetryFrom, facts: &Facts) -> Verdict {
    let (Some(sender), Some(business_key)) = (sender_of(event), BusinessKey::of(event)) else {
        return plain(VerdictKind::Ignored, sentences::event_without_sender());
    };
    if let Some(run) = facts.run_by_key {
        return about(VerdictKind::Duplicate, sentences::retried_already(run), run);
    }
    if let Some(active) = &facts.active_run {
        return about(VerdictKind::AlreadyWorking, at_work(active), active.id);
    }
    let what = on.subject.kind.describe();
    if !on.open {
        return no_rule(facts, &sentences::subject_closed(what));
    }
    let Some(last) = &facts.last_run else {
        return plain(VerdictKind::NothingToRetry, sentences::no_run_to_retry(what));
    };
    if let Some(reason) = storm_guard::holds_back_retry(&sender, on.subject, facts) {
        return plain(VerdictKind::LoopGuard, reason);
    }
    let begin = begin(from, facts);
    let reason = sentences::new_attempt(&sender.login, last.id, &begin.whence);
    let retry = RetryRun {
        business_key,
        run: last.id,
        from: begin.from,
        earlier_work: begin.earlier_work,
        requested_by: sender,
        at: on.comment.created_at,
    };
    Verdict { kind: VerdictKind::Started, reason, run: Some(last.id), effect: Effect::Retry(retry) }
}

/// Where an attempt begins.
struct Begin {
    from: Option<Step>,
    earlier_work: EarlierWork,
    whence: String,
}

fn begin(from: RetryFrom, facts: &Facts) -> Begin {
    let (from, earlier_work, whence) = match (from, facts.kept_work) {
        (RetryFrom::Start, _) => (None, EarlierWork::NotAsked, sentences::from_start().to_owned()),
        (RetryFrom::Step(step), _) => (Some(step), EarlierWork::NotAsked, sentences::from_step(step)),
        (RetryFrom::KeptWork, Some(kept)) => {
            let at = kept.at.format("%H:%M UTC");
            let whence = sentences::from_kept_work(at, kept.attempt);
            (Some(Step::Launch), EarlierWork::Kept(kept.attempt), whence)
        }
        (RetryFrom::KeptWork, None) => {
            let whence = sentences::no_kept_work().to_owned();
            (Some(Step::Launch), EarlierWork::NoneKept, whence)
        }
    };
    Begin { from, earlier_work, whence }
}
