//! What ends a run: its label taken off, its issue closed, `/cancel`.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    CancelMark, CancelRequest, CancelRun, Effect, Facts, KnownRun, Verdict, VerdictKind,
    reason::{no_rule, plain, quoted},
    start::agent_of_label,
};
use crate::{
    event::{CommentCreated, Event, Sender, Subject, SubjectKind},
    sentences,
};

pub(super) fn unlabeled(event: &Event, subject: Subject, label: &str, at: DateTime<Utc>, facts: &Facts) -> Verdict {
    let Some(sender) = &event.sender else { return no_sender() };
    let started_by_it = |run: &&KnownRun| run.trigger.label() == Some(label);
    let request = trusted(sender, sentences::took_label_off(quoted(label)));
    if let Some(run) = facts.active_run.as_ref().filter(started_by_it) {
        return end(run, at, request);
    }
    if agent_of_label(&facts.config, subject.kind, label).is_none() {
        return no_rule(facts, &sentences::label_off_ends_nothing(quoted(label)));
    }
    // Times of the forge have whole seconds. If this takes off the very label that started the last run, a label put on
    // within the same second is a new wish; else it may be the start that this was meant to end.
    let last = facts.last_run.as_ref().filter(started_by_it);
    let closes_last = last.is_some_and(|run| {
        let begun = run.trigger.at();
        begun <= at && !facts.cancel_marks.iter().any(|mark| mark.label.as_deref() == Some(label) && mark.at >= begun)
    });
    let until = if closes_last { at - TimeDelta::milliseconds(1) } else { at };
    let reason = sentences::no_run_of_label(quoted(label), subject.kind.describe());
    nothing(facts, &reason, CancelMark { label: Some(label.to_owned()), at: until, request })
}

pub(super) fn closed(event: &Event, what: SubjectKind, at: DateTime<Utc>, facts: &Facts) -> Verdict {
    let Some(sender) = &event.sender else { return no_sender() };
    let request = trusted(sender, sentences::closed_subject(what.describe()));
    match &facts.active_run {
        Some(run) => end(run, at, request),
        None => nothing(facts, &sentences::no_run_at_work(what.describe()), CancelMark { label: None, at, request }),
    }
}

pub(super) fn command(event: &Event, on: &CommentCreated, facts: &Facts) -> Verdict {
    let Some(sender) = event.sender.as_ref().or(on.comment.author.as_ref()) else { return no_sender() };
    // Who asked for a run may end it. Of others the workflow asks the forge.
    let own = facts.active_run.as_ref().is_some_and(|run| run.requested_by == sender.id);
    let request = CancelRequest { by: sender.clone(), how: sentences::wrote_cancel().to_owned(), trusted: own };
    let at = on.comment.created_at;
    match &facts.active_run {
        Some(run) => end(run, at, request),
        None => {
            let reason = sentences::no_run_at_work(on.subject.kind.describe());
            nothing(facts, &reason, CancelMark { label: None, at, request })
        }
    }
}

fn trusted(sender: &Sender, how: String) -> CancelRequest {
    CancelRequest { by: sender.clone(), how, trusted: true }
}

fn end(run: &KnownRun, at: DateTime<Utc>, request: CancelRequest) -> Verdict {
    if at < run.trigger.at() {
        let reason = sentences::before_the_run(run.id);
        return Verdict { kind: VerdictKind::Ignored, reason, run: Some(run.id), effect: Effect::None };
    }
    Verdict {
        kind: VerdictKind::Signalled,
        reason: sentences::asked_to_end(&request.by.login, &request.how, run.id, &run.agent),
        run: Some(run.id),
        effect: Effect::Cancel(CancelRun { run: run.id, request }),
    }
}

fn nothing(facts: &Facts, reason: &str, mark: CancelMark) -> Verdict {
    let run = facts.active_run.as_ref().map(|run| run.id);
    Verdict { kind: VerdictKind::NothingToCancel, reason: reason.to_owned(), run, effect: Effect::MarkCancel(mark) }
}

fn no_sender() -> Verdict {
    plain(VerdictKind::Ignored, sentences::event_without_sender())
}
