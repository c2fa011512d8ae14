//! What is read from a body, and how much may be wrong with it.

use domain::{
    event::{Event, EventKind, PullRequestAction, RepositoryAction, ReviewState, Subject, SubjectKind},
    sentences,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::wire::{AT, body, comment, event, issue, labeled, overlay, pull_request, push, time};

#[test]
fn the_common_facts_are_read() {
    let event = labeled("bug", &["bug", "run:dev"], &json!({"sender": {"type": "Bot"}}));
    let repository = event.repository.clone().unwrap();
    assert_eq!((repository.forge_id, repository.full_name().as_str()), (77, "acme/demo"));
    assert_eq!(repository.default_branch.as_deref(), Some("main"));
    assert_eq!((repository.private, repository.archived), (Some(true), Some(false)));
    let sender = event.sender.clone().unwrap();
    assert_eq!((sender.id, sender.login.as_str(), sender.is_bot), (5, "ann", true));
    assert_eq!(event.action.as_deref(), Some("labeled"));
    assert_eq!(event.subject(), Some(Subject { kind: SubjectKind::Issue, number: 12 }));
    assert_eq!(event.subject_title(), "Sum is wrong");
    let EventKind::IssueLabeled(on) = event.kind else { panic!("{event:?}") };
    assert_eq!(
        (on.label.as_str(), on.issue.labels, on.issue.open),
        ("bug", vec!["bug".into(), "run:dev".into()], true)
    );
    assert_eq!(on.issue.updated_at, time(AT));
}

#[test]
fn a_comment_on_a_pull_request_is_told_from_one_on_an_issue() {
    for (more, kind) in
        [(json!({}), SubjectKind::Issue), (json!({"issue": {"pull_request": {"url": "x"}}}), SubjectKind::PullRequest)]
    {
        let event = comment("hello", &more);
        let EventKind::CommentCreated(on) = &event.kind else { panic!("{event:?}") };
        assert_eq!((on.subject.kind, on.comment.id, on.comment.body.as_str()), (kind, 900, "hello"));
        assert_eq!(on.comment.author.as_ref().map(|author| author.id), Some(5));
        assert_eq!(on.comment.created_at, time(AT));
    }
}

#[test]
fn forks_are_seen() {
    for (more, fork) in [
        (json!({}), false),
        (json!({"pull_request": {"head": {"repo": {"id": 78}}}}), true),
        (json!({"pull_request": {"head": {"repo": null}}}), true),
    ] {
        let event = pull_request("opened", None, &more);
        let EventKind::PullRequest(on) = &event.kind else { panic!("{event:?}") };
        assert_eq!((on.pull_request.from_fork, &on.action), (fork, &PullRequestAction::Opened), "{more}");
    }
}

#[test]
fn reviews_pushes_and_repositories_are_read() {
    let review = json!({"review": {"id": 4, "state": "CHANGES_REQUESTED", "body": "no", "submitted_at": AT},
        "pull_request": {"number": 30, "updated_at": AT}});
    let EventKind::ReviewSubmitted(review) = event("pull_request_review", &body("submitted", &review)).kind else {
        panic!("no review")
    };
    assert_eq!((review.id, review.state, review.pull_request.number), (4, ReviewState::ChangesRequested, 30));

    let EventKind::Push(gone) = push("refs/heads/a/b", &json!({"after": "0".repeat(40)})).kind else {
        panic!("no push")
    };
    assert_eq!((gone.branch(), gone.deleted), (Some("a/b"), true));

    let renamed = event("repository", &body("renamed", &json!({})));
    assert_eq!(renamed.kind, EventKind::Repository(RepositoryAction::Renamed));
    assert_eq!(event("ping", &json!({"zen": "x", "hook_id": 1})).kind, EventKind::Ping);
}

#[test]
fn times_come_in_two_forms() {
    for (given, expected) in [
        (json!("2026-11-03T11:00:00+01:00"), Some(AT)),
        (json!(1_793_700_000), Some("2026-11-03T10:00:00Z")),
        (json!("yesterday"), None),
        (json!(-1), None),
        (json!(i64::MAX), None),
        (json!(1.5), None),
    ] {
        let event = event("issues", &issue("closed", &[], &json!({"issue": {"updated_at": given}})));
        let read = match &event.kind {
            EventKind::IssueClosed(issue) => Some(issue.updated_at),
            _ => None,
        };
        assert_eq!(read, expected.map(time), "{given}");
    }
}

/// The event, what is laid over its body, and the reason why it is not read.
#[test]
fn what_is_missing_is_told_and_never_an_error() {
    let reason = |event: &Event| match &event.kind {
        EventKind::Other { reason } => reason.clone().unwrap_or_default(),
        kind => panic!("{kind:?}"),
    };
    let labels = issue("labeled", &[], &json!({"label": {"name": "bug"}}));
    for (more, expected) in [
        (json!({"label": null}), "which label"),
        (json!({"label": {"name": 5}}), "which label"),
        (json!({"label": "bug"}), "which label"),
        (json!({"label": {"name": "x".repeat(301)}}), "which label"),
        (json!({"issue": null}), "the issue's number"),
        (json!({"issue": []}), "the issue's number"),
        (json!({"issue": {"number": "12"}}), "the issue's number"),
        (json!({"issue": {"number": 1e30}}), "the issue's number"),
        (json!({"issue": {"updated_at": null}}), "when the issue was changed"),
        (json!({"action": null}), "its action"),
        (json!({"action": {"a": 1}}), "its action"),
    ] {
        let mut body = labels.clone();
        overlay(&mut body, &more);
        let event = event("issues", &body);
        assert_eq!(reason(&event), format!("the event does not say {expected}"), "{more}");
        assert_eq!(event.repository.map(|repository| repository.forge_id), Some(77), "{more}");
    }
    for body in [json!([1]), json!("x"), json!(null), json!(1)] {
        assert_eq!(reason(&event("issues", &body)), "the body is not a JSON object");
    }
    assert_eq!(reason(&comment("x", &json!({"comment": {"id": null}}))), "the event does not say the comment's id");
}

#[test]
fn optional_facts_may_be_of_any_type() {
    let odd = json!({
        "repository": {"default_branch": 4, "private": "yes", "archived": null, "owner": 5},
        "issue": {"title": {}, "labels": {"a": 1}, "state": 7},
        "sender": {"type": []},
    });
    let event = labeled("bug", &[], &odd);
    let repository = event.repository.clone().unwrap();
    assert_eq!(
        (repository.full_name().as_str(), repository.default_branch, repository.private),
        ("acme/demo", None, None)
    );
    let EventKind::IssueLabeled(on) = event.kind else { panic!("{event:?}") };
    assert_eq!((on.issue.title.as_str(), on.issue.labels.len(), on.issue.open), ("", 0, true));
}

#[test]
fn a_nul_is_replaced_and_deep_or_doubled_json_is_read() {
    let event = labeled("a\0b", &[], &json!({}));
    assert!(matches!(event.kind, EventKind::IssueLabeled(on) if on.label == "a\u{fffd}b"));
    let deep = format!("{{\"x\":{}{},\"action\":\"a\",\"action\":\"b\"}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(Event::parse("x", deep.as_bytes()).unwrap().action.as_deref(), Some("b"));
}

#[test]
fn only_broken_json_is_an_error() {
    for body in ["", "{", "{]", "{} {}", "nul", "{\"a\":1,}", "'a'"] {
        assert!(Event::parse("issues", body.as_bytes()).is_err(), "{body}");
    }
    assert!(Event::parse("issues", b"\"\xff\"").is_err());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}|/run dev|2026-11-03T10:00:00Z|open|labeled".prop_map(Value::from),
    ];
    let key = "action|issue|label|name|repository|id|sender|login|comment|body|pull_request|number|updated_at|created_at\
               |labels|state|review|ref|after|head|repo|owner|[a-z]{1,3}";
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..8).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_event() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "issues",
        "issue_comment",
        "pull_request",
        "pull_request_review",
        "push",
        "repository",
        "ping",
        "star",
    ])
}

proptest! {
    #[test]
    fn any_json_gives_a_decided_event(name in any_event(), body in any_json()) {
        let event = Event::parse(name, body.to_string().as_bytes()).unwrap();
        let verdict = domain::triggers::decide(&event, &crate::wire::connected());
        prop_assert!(sentences::read(&verdict.reason).is_some(), "{}", verdict.reason);
    }

    #[test]
    fn a_known_event_with_any_part_replaced_is_decided(part in any_json(), key in prop::sample::select(vec![
        "action", "issue", "label", "repository", "sender", "comment", "pull_request",
    ])) {
        let mut body = issue("labeled", &["run:dev"], &json!({"label": {"name": "run:dev"}}));
        body[key] = part;
        let event = event("issues", &body);
        let reason = domain::triggers::decide(&event, &crate::wire::connected()).reason;
        prop_assert!(sentences::read(&reason).is_some(), "{reason}");
    }

    #[test]
    fn no_bytes_make_it_panic(name in "\\PC{0,20}", body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Event::parse(&name, &body);
    }
}
