//! Our own writes are known when they come back: by intent, by id, by marker.

use domain::{
    event::Event,
    intent::{IntentKind, Probe, label_key, probes, pull_request_key, push_key},
    triggers::{Effect, Facts, VerdictKind, decide},
};
use serde_json::json;

use crate::wire::{body, comment, connected, event, issue, labeled, pull_request, push, run_id, unlabeled};

fn key(kind: IntentKind, key: String) -> Vec<Probe> {
    vec![Probe { kind, key: Some(key), forge_id: None }]
}

fn id(kind: IntentKind, id: i64) -> Vec<Probe> {
    vec![Probe { kind, key: None, forge_id: Some(id) }]
}

#[test]
fn an_event_yields_the_key_that_its_write_was_stored_under() {
    let sha = "b".repeat(40);
    let fork = json!({"pull_request": {"head": {"repo": {"id": 78}}}});
    let review = body("submitted", &json!({"review": {"id": 4}, "pull_request": {"number": 30, "updated_at": 1}}));
    let table: Vec<(Event, Vec<Probe>)> = vec![
        (labeled("codex:queued", &[], &json!({})), key(IntentKind::Label, label_key(12, "codex:queued", true))),
        (unlabeled("codex:queued", &json!({})), key(IntentKind::Label, label_key(12, "codex:queued", false))),
        (event("issues", &issue("opened", &[], &json!({}))), key(IntentKind::Issue, "Sum is wrong".into())),
        (event("issues", &issue("edited", &[], &json!({}))), Vec::new()),
        (comment("x", &json!({})), id(IntentKind::Comment, 900)),
        (event("pull_request_review", &review), id(IntentKind::Review, 4)),
        (push("refs/heads/codex/12-x", &json!({})), key(IntentKind::Push, push_key("codex/12-x", &sha))),
        (push("refs/tags/v1", &json!({})), vec![]),
        (pull_request("labeled", Some("x"), &json!({})), key(IntentKind::Label, label_key(30, "x", true))),
        (pull_request("opened", None, &json!({})), key(IntentKind::PullRequest, pull_request_key("topic"))),
        (pull_request("synchronize", None, &json!({})), key(IntentKind::Push, push_key("topic", &"c".repeat(40)))),
        (pull_request("opened", None, &fork), vec![]),
        (pull_request("synchronize", None, &fork), vec![]),
        (pull_request("closed", None, &json!({})), vec![]),
    ];
    for (event, expected) in table {
        assert_eq!(probes(&event), expected, "{event:?}");
    }
    assert_ne!(label_key(1, "2", true), label_key(12, "", true));
}

#[test]
fn a_matching_intent_makes_an_echo() {
    let ours = Facts { echo: true, ..connected() };
    for event in [
        labeled("codex:working", &[], &json!({})),
        push("refs/heads/codex/12-x", &json!({})),
        comment("done", &json!({})),
        pull_request("opened", None, &json!({})),
    ] {
        let verdict = decide(&event, &ours);
        assert_eq!((verdict.kind, verdict.effect), (VerdictKind::Echo, Effect::None));
    }
}

#[test]
fn a_marker_makes_an_echo_and_a_quoted_one_does_not() {
    let marker = domain::run::comment_marker(run_id(1));
    for (text, echo) in [
        (format!("{marker}\n/run dev"), true),
        (format!("/run dev\n{marker}"), true),
        (format!("/run dev\n> {marker}\n"), false),
        (format!("/run dev like in {marker}"), false),
    ] {
        let verdict = decide(&comment(&text, &json!({})), &connected());
        assert_eq!(verdict.kind == VerdictKind::Echo, echo, "{text}: {verdict:?}");
    }
}

#[test]
fn a_bot_is_no_echo_by_its_login() {
    let bot = json!({"sender": {"login": "codex-k8s[bot]", "type": "Bot"}});
    assert_eq!(decide(&labeled("run:dev", &["run:dev"], &bot), &connected()).kind, VerdictKind::Started);
}
