//! Webhook bodies as the forge sends them, reduced to what matters here.

use domain::{
    event::Event,
    ids::RunId,
    services_yaml::ServicesYaml,
    triggers::{Facts, KnownRepository, KnownRun, Trigger},
};
use serde_json::{Value, json};

/// The second that most events of these tests happen in.
pub(crate) const AT: &str = "2026-11-03T10:00:00Z";

pub(crate) fn time(text: &str) -> chrono::DateTime<chrono::Utc> {
    text.parse().unwrap()
}

pub(crate) fn run_id(n: u8) -> RunId {
    format!("00000000-0000-7000-8000-0000000000{n:02x}").parse().unwrap()
}

/// A body with repository and sender; `more` is laid over it.
pub(crate) fn body(action: &str, more: &Value) -> Value {
    let mut body = json!({
        "action": action,
        "repository": {
            "id": 77, "name": "demo", "full_name": "acme/demo", "owner": {"login": "acme"},
            "default_branch": "main", "private": true, "archived": false,
        },
        "sender": {"id": 5, "login": "ann", "type": "User"},
    });
    overlay(&mut body, more);
    body
}

/// Lays the fields of one object over another, also within objects; `null` takes a field away.
pub(crate) fn overlay(on: &mut Value, more: &Value) {
    for (key, value) in more.as_object().unwrap() {
        let slot = on.as_object_mut().unwrap().entry(key).or_insert(Value::Null);
        if value.is_object() && slot.is_object() {
            overlay(slot, value);
        } else if value.is_null() {
            on.as_object_mut().unwrap().remove(key);
        } else {
            *slot = value.clone();
        }
    }
}

pub(crate) fn event(name: &str, body: &Value) -> Event {
    Event::parse(name, body.to_string().as_bytes()).unwrap()
}

fn names(labels: &[&str]) -> Vec<Value> {
    labels.iter().map(|name| json!({"name": name})).collect()
}

pub(crate) fn issue(action: &str, labels: &[&str], more: &Value) -> Value {
    let mut body = body(
        action,
        &json!({"issue": {"number": 12, "title": "Sum is wrong", "state": "open", "updated_at": AT, "labels": names(labels)}}),
    );
    overlay(&mut body, more);
    body
}

pub(crate) fn labeled(label: &str, all: &[&str], more: &Value) -> Event {
    let mut body = issue("labeled", all, &json!({"label": {"name": label}}));
    overlay(&mut body, more);
    event("issues", &body)
}

pub(crate) fn unlabeled(label: &str, more: &Value) -> Event {
    let mut body = issue("unlabeled", &[], &json!({"label": {"name": label}}));
    overlay(&mut body, more);
    event("issues", &body)
}

pub(crate) fn closed(more: &Value) -> Event {
    let mut body = issue("closed", &["run:dev"], &json!({"issue": {"state": "closed"}}));
    overlay(&mut body, more);
    event("issues", &body)
}

pub(crate) fn comment(text: &str, more: &Value) -> Event {
    let mut body = body(
        "created",
        &json!({
            "issue": {"number": 12, "title": "Sum is wrong", "state": "open"},
            "comment": {"id": 900, "body": text, "created_at": AT, "user": {"id": 5, "login": "ann", "type": "User"}},
        }),
    );
    overlay(&mut body, more);
    event("issue_comment", &body)
}

pub(crate) fn pull_request(action: &str, label: Option<&str>, more: &Value) -> Event {
    let repo = json!({"id": 77});
    let mut body = body(
        action,
        &json!({"pull_request": {
            "number": 30, "title": "A change", "state": "open", "updated_at": AT, "draft": false,
            "labels": names(label.as_slice()),
            "head": {"ref": "topic", "sha": "c".repeat(40), "repo": repo}, "base": {"ref": "main", "repo": repo},
        }}),
    );
    if let Some(label) = label {
        overlay(&mut body, &json!({"label": {"name": label}}));
    }
    overlay(&mut body, more);
    event("pull_request", &body)
}

pub(crate) fn push(git_ref: &str, more: &Value) -> Event {
    let mut body =
        body("", &json!({"action": null, "ref": git_ref, "before": "a".repeat(40), "after": "b".repeat(40)}));
    overlay(&mut body, more);
    event("push", &body)
}

/// A connected repository, and nothing else.
pub(crate) fn connected() -> Facts {
    let id = "00000000-0000-7000-8000-000000000000".parse().unwrap();
    let repository = KnownRepository { id, default_branch: "main".into(), archived: false, detached: false };
    Facts { repository: Some(repository), ..Facts::default() }
}

pub(crate) fn with_config(yaml: &str) -> Facts {
    Facts { config: ServicesYaml::parse(yaml).unwrap(), ..connected() }
}

/// A run that a label started.
pub(crate) fn by_label(n: u8, label: &str, at: &str) -> KnownRun {
    let agent = label.trim_start_matches("run:").parse().unwrap();
    KnownRun {
        id: run_id(n),
        agent,
        trigger: Trigger::Label { label: label.into(), at: time(at) },
        requested_by: 4_711,
    }
}
