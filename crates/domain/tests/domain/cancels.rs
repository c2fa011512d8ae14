//! What ends a run, and what happens if it arrives before the start.

use domain::{
    event::Event,
    triggers::{CancelMark, Effect, Facts, KnownRun, Trigger, VerdictKind, decide},
};
use serde_json::json;

use crate::wire::{AT, by_label, closed, comment, connected, labeled, pull_request, run_id, time, unlabeled};

const BEFORE: &str = "2026-11-03T09:59:59Z";
const AFTER: &str = "2026-11-03T10:00:01Z";

fn active(run: KnownRun) -> Facts {
    Facts { active_run: Some(run), ..connected() }
}

/// The mark that an event leaves when there is nothing to cancel.
fn mark(event: &Event, facts: &Facts) -> CancelMark {
    let verdict = decide(event, facts);
    assert_eq!(verdict.kind, VerdictKind::NothingToCancel, "{verdict:?}");
    let Effect::MarkCancel(mark) = verdict.effect else { panic!("{verdict:?}") };
    mark
}

#[test]
fn label_close_and_command_end_a_run() {
    let on_pull_request = json!({"issue": {"pull_request": {}}});
    for (event, how, trusted) in [
        (unlabeled("run:dev", &json!({})), "took the label `run:dev` off", true),
        (closed(&json!({})), "closed the issue", true),
        (pull_request("closed", None, &json!({})), "closed the pull request", true),
        (comment("/cancel", &json!({})), "wrote `/cancel`", false),
        (comment("/cancel", &on_pull_request), "wrote `/cancel`", false),
    ] {
        let verdict = decide(&event, &active(by_label(1, "run:dev", BEFORE)));
        assert_eq!((verdict.kind, verdict.run), (VerdictKind::Signalled, Some(run_id(1))));
        assert_eq!(verdict.reason, format!("@ann {how}: run {} of agent `dev` is asked to end", run_id(1)));
        let Effect::Cancel(cancel) = verdict.effect else { panic!("no cancel") };
        assert_eq!((cancel.run, cancel.request.how.as_str(), cancel.request.trusted), (run_id(1), how, trusted));
        assert_eq!(cancel.request.by.login, "ann");
    }
}

#[test]
fn who_asked_for_a_run_may_end_it_without_being_looked_up() {
    let event = comment("/cancel", &json!({}));
    let sender = event.sender.as_ref().map(|sender| sender.id).unwrap_or_default();
    for (requested_by, trusted) in [(sender, true), (sender + 1, false)] {
        let run = KnownRun { requested_by, ..by_label(1, "run:dev", BEFORE) };
        let Effect::Cancel(cancel) = decide(&event, &active(run)).effect else { panic!("no cancel") };
        assert_eq!(cancel.request.trusted, trusted);
    }
}

#[test]
fn only_the_label_of_the_run_ends_it() {
    let by_command =
        KnownRun { trigger: Trigger::Command { comment_id: 1, at: time(BEFORE) }, ..by_label(1, "run:dev", BEFORE) };
    for (label, run, kind) in [
        ("run:dev", by_label(1, "run:dev", BEFORE), VerdictKind::Signalled),
        ("run:planner", by_label(1, "run:dev", BEFORE), VerdictKind::NothingToCancel),
        ("run:dev", by_command, VerdictKind::NothingToCancel),
        ("bug", by_label(1, "run:dev", BEFORE), VerdictKind::NoRule),
    ] {
        assert_eq!(decide(&unlabeled(label, &json!({})), &active(run)).kind, kind, "{label}");
    }
}

#[test]
fn a_cancel_that_is_older_than_the_run_does_not_end_it() {
    for (begun, kind) in [(AFTER, VerdictKind::Ignored), (AT, VerdictKind::Signalled), (BEFORE, VerdictKind::Signalled)]
    {
        for event in [unlabeled("run:dev", &json!({})), closed(&json!({})), comment("/cancel", &json!({}))] {
            assert_eq!(decide(&event, &active(by_label(1, "run:dev", begun))).kind, kind, "{begun} {event:?}");
        }
    }
}

#[test]
fn a_cancel_without_a_run_is_remembered() {
    let off = mark(&unlabeled("run:dev", &json!({})), &connected());
    assert_eq!((off.label.as_deref(), off.at, off.request.trusted), (Some("run:dev"), time(AT), true));
    let close = mark(&closed(&json!({})), &connected());
    assert_eq!((close.label, close.at, close.request.trusted), (None, time(AT), true));
    let command = mark(&comment("/cancel", &json!({})), &connected());
    assert_eq!((command.label, command.at, command.request.trusted), (None, time(AT), false));
}

#[test]
fn a_start_that_was_cancelled_before_it_arrived_does_not_start() {
    let start = |at: &str| labeled("run:dev", &["run:dev"], &json!({"issue": {"updated_at": at}}));
    let off = mark(&unlabeled("run:dev", &json!({})), &connected());
    let other = CancelMark { label: Some("run:planner".into()), ..off.clone() };
    let close = mark(&closed(&json!({})), &connected());
    for (name, marks, at, kind) in [
        ("earlier", vec![off.clone()], BEFORE, VerdictKind::CancelledBeforeStart),
        ("in the same second", vec![off.clone()], AT, VerdictKind::CancelledBeforeStart),
        ("put on again later", vec![off], AFTER, VerdictKind::Started),
        ("another label", vec![other], BEFORE, VerdictKind::Started),
        ("closed", vec![close], BEFORE, VerdictKind::CancelledBeforeStart),
    ] {
        let verdict = decide(&start(at), &Facts { cancel_marks: marks, ..connected() });
        assert_eq!(verdict.kind, kind, "{name}: {verdict:?}");
    }
    let off = mark(&unlabeled("run:dev", &json!({})), &connected());
    let verdict = decide(&start(AT), &Facts { cancel_marks: vec![off], ..connected() });
    assert_eq!(verdict.reason, "@ann took the label `run:dev` off before this arrived");
}

#[test]
fn an_early_cancel_by_comment_follows_the_start_and_is_judged_there() {
    let command = mark(&comment("/cancel", &json!({"sender": {"id": 9, "login": "eve"}})), &connected());
    let facts = Facts { cancel_marks: vec![command], ..connected() };
    for start in [labeled("run:dev", &["run:dev"], &json!({})), comment("/run dev", &json!({}))] {
        let verdict = decide(&start, &facts);
        assert_eq!(verdict.kind, VerdictKind::Started);
        assert!(verdict.reason.ends_with("; the `/cancel` by @eve that came first goes to it"), "{}", verdict.reason);
        let Effect::Start(run) = verdict.effect else { panic!("no start") };
        let cancel = run.then_cancel.unwrap();
        assert_eq!((cancel.by.login.as_str(), cancel.trusted), ("eve", false));
    }
}

#[test]
fn a_trusted_cancel_counts_before_one_by_comment() {
    let command = mark(&comment("/cancel", &json!({"comment": {"created_at": AFTER}})), &connected());
    let close = mark(&closed(&json!({})), &connected());
    let facts = Facts { cancel_marks: vec![command, close], ..connected() };
    assert_eq!(decide(&labeled("run:dev", &[], &json!({})), &facts).kind, VerdictKind::CancelledBeforeStart);
}

/// Whole seconds: the label is taken off after its run has ended, and put on again at once.
#[test]
fn taking_a_used_label_off_does_not_hold_back_the_next_time() {
    let again = labeled("run:dev", &["run:dev"], &json!({}));
    let ended = || Facts { last_run: Some(by_label(1, "run:dev", BEFORE)), ..connected() };
    let used = mark(&unlabeled("run:dev", &json!({})), &ended());
    assert!(used.at < time(AT));
    let facts = Facts { cancel_marks: vec![used], ..ended() };
    assert_eq!(decide(&again, &facts).kind, VerdictKind::Started);

    // Once it was taken off, taking it off a second time means a label that is still on its way.
    let first = CancelMark { at: time(BEFORE), ..mark(&unlabeled("run:dev", &json!({})), &connected()) };
    let second = mark(&unlabeled("run:dev", &json!({})), &Facts { cancel_marks: vec![first.clone()], ..ended() });
    assert_eq!(second.at, time(AT));
    let facts = Facts { cancel_marks: vec![first, second], ..ended() };
    assert_eq!(decide(&again, &facts).kind, VerdictKind::CancelledBeforeStart);
}
