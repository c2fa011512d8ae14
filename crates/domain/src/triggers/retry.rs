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
};

pub(super) fn command(event: &Event, on: &CommentCreated, from: RetryFrom, facts: &Facts) -> Verdict {
    let (Some(sender), Some(business_key)) = (sender_of(event), BusinessKey::of(event)) else {
        return plain(VerdictKind::Ignored, "the event does not say who caused it");
    };
    if let Some(run) = facts.run_by_key {
        return about(VerdictKind::Duplicate, format!("run {run} was already retried by this"), run);
    }
    if let Some(active) = &facts.active_run {
        return about(VerdictKind::AlreadyWorking, at_work(active), active.id);
    }
    let what = on.subject.kind.describe();
    if !on.open {
        return no_rule(facts, &format!("the {what} is closed"));
    }
    let Some(last) = &facts.last_run else {
        return plain(VerdictKind::NothingToRetry, format!("no run was ever about this {what}"));
    };
    if let Some(reason) = storm_guard::holds_back_retry(&sender, on.subject, facts) {
        return plain(VerdictKind::LoopGuard, reason);
    }
    let begin = begin(from, facts);
    let reason = format!("`/retry` by @{} starts a new attempt of run {} {}", sender.login, last.id, begin.whence);
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
        (RetryFrom::Start, _) => (None, EarlierWork::NotAsked, "from the start".to_owned()),
        (RetryFrom::Step(step), _) => (Some(step), EarlierWork::NotAsked, format!("from step `{step}`")),
        (RetryFrom::KeptWork, Some(kept)) => {
            let at = kept.at.format("%H:%M UTC");
            let whence = format!("that goes on from the work of {at} (attempt {})", kept.attempt);
            (Some(Step::Launch), EarlierWork::Kept(kept.attempt), whence)
        }
        (RetryFrom::KeptWork, None) => {
            let whence = "whose agent begins anew, since none of its work was kept".to_owned();
            (Some(Step::Launch), EarlierWork::NoneKept, whence)
        }
    };
    Begin { from, earlier_work, whence }
}
