//! Events as GitHub sends them, cut down to what is read.

use serde_json::{Value, json};

use crate::world::FORGE_REPOSITORY;

pub const ANNA: (i64, &str) = (11, "anna");

pub fn repository() -> Value {
    json!({
        "id": FORGE_REPOSITORY, "name": "Hello-World", "full_name": "Codertocat/Hello-World", "private": false,
        "archived": false, "default_branch": "master", "owner": { "login": "Codertocat", "id": 1 }
    })
}

pub fn sender((id, login): (i64, &str)) -> Value {
    json!({ "id": id, "login": login, "type": "User" })
}

/// A label on an issue, at a second of the day.
pub fn labeled(number: i64, label: &str, second: u32) -> Value {
    issue_event("labeled", number, label, second, &[label])
}

pub fn unlabeled(number: i64, label: &str, second: u32) -> Value {
    issue_event("unlabeled", number, label, second, &[])
}

pub fn closed(number: i64, second: u32) -> Value {
    let mut event = issue_event("closed", number, "", second, &[]);
    event["issue"]["state"] = json!("closed");
    event
}

fn issue_event(action: &str, number: i64, label: &str, second: u32, labels: &[&str]) -> Value {
    let labels: Vec<Value> = labels.iter().map(|name| json!({ "name": name })).collect();
    json!({
        "action": action,
        "label": { "name": label },
        "issue": {
            "number": number, "title": "The test fails", "state": "open", "labels": labels, "updated_at": time(second)
        },
        "repository": repository(),
        "sender": sender(ANNA),
    })
}

pub fn comment(number: i64, id: i64, body: &str, second: u32) -> Value {
    json!({
        "action": "created",
        "issue": { "number": number, "title": "The test fails", "state": "open" },
        "comment": { "id": id, "body": body, "user": sender(ANNA), "created_at": time(second) },
        "repository": repository(),
        "sender": sender(ANNA),
    })
}

pub fn time(second: u32) -> String {
    format!("2026-11-20T12:{:02}:{:02}Z", second / 60, second % 60)
}
