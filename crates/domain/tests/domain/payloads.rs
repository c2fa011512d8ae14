//! The public example payloads of GitHub: every one is read, and decided with a reason.

use std::{collections::BTreeMap, path::PathBuf};

use domain::{
    event::{Event, EventKind},
    intent::probes,
    sentences,
    triggers::{BusinessKey, Effect, VerdictKind, decide},
};
use serde_json::Value;

use crate::wire::connected;

/// Name and body of every example.
fn examples() -> Vec<(String, Vec<u8>)> {
    let folder = std::env::var_os("CODEX_K8S_WEBHOOK_EXAMPLES")
        .map(PathBuf::from)
        .expect("CODEX_K8S_WEBHOOK_EXAMPLES is not set: run it through \"cargo dev test\"");
    let index = std::fs::read(folder.join("index.json")).unwrap();
    let events: Vec<Value> = serde_json::from_slice(&index).unwrap();
    let mut examples = Vec::new();
    for event in &events {
        let name = event["name"].as_str().unwrap();
        for example in event["examples"].as_array().unwrap() {
            examples.push((name.to_owned(), serde_json::to_vec(example).unwrap()));
        }
    }
    examples
}

#[test]
fn every_example_is_decided_with_a_reason() {
    let examples = examples();
    assert_eq!(examples.len(), 329);
    let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
    for (name, body) in &examples {
        let event = Event::parse(name, body).unwrap();
        let text = String::from_utf8_lossy(body);
        if let EventKind::Other { reason: Some(reason) } = &event.kind {
            let expected = ["only new comments are read"];
            assert!(expected.contains(&reason.as_str()), "{name}: {reason}: {text}");
        }
        for facts in [connected(), domain::triggers::Facts::default()] {
            let verdict = decide(&event, &facts);
            assert!(sentences::read(&verdict.reason).is_some(), "{name}: {verdict:?}");
            assert!(
                !matches!(verdict.effect, Effect::Start(_) | Effect::Cancel(_) | Effect::Retry(_)),
                "{name}: {verdict:?}"
            );
            if facts.repository.is_some() {
                *kinds.entry(verdict.kind.as_str()).or_default() += 1;
            } else {
                let expected = [VerdictKind::RepositoryUnknown, VerdictKind::Ignored];
                assert!(expected.contains(&verdict.kind), "{name}: {verdict:?}");
            }
        }
        let _ = (BusinessKey::of(&event), probes(&event), event.subject());
    }
    for kind in ["no_rule", "ignored", "config_refresh", "repository_updated", "nothing_to_cancel"] {
        assert!(kinds.contains_key(kind), "{kind} is not among {kinds:?}");
    }
}

#[test]
fn the_example_label_starts_nothing() {
    let examples = examples();
    let labels = examples.iter().filter(|(name, _)| name == "issues").filter_map(|(name, body)| {
        let event = Event::parse(name, body).unwrap();
        matches!(event.kind, EventKind::IssueLabeled(_)).then_some(event)
    });
    let reasons: Vec<String> = labels.map(|event| decide(&event, &connected()).reason).collect();
    assert!(!reasons.is_empty());
    assert!(reasons.iter().all(|reason| reason == "label `bug` starts nothing in this project"), "{reasons:?}");
}
