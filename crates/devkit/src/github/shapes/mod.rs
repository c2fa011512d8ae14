//! How things look in answers and webhook payloads: every field that GitHub's description marks as required.

mod app;
mod commit;
mod hook;
mod issue;
mod pull;
mod repository;
mod user;

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

pub(crate) use hook::{delivery, delivery_item};

use super::state::{Model, Repo, Role};

/// A time as GitHub writes it.
pub(crate) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A time that may be absent.
pub(crate) fn time_or_null(at: Option<DateTime<Utc>>) -> Value {
    at.map_or(Value::Null, |at| Value::String(time(at)))
}

/// The opaque id that the other interface of GitHub uses.
pub(crate) fn node_id(kind: &str, id: impl std::fmt::Display) -> String {
    BASE64_STANDARD.encode(format!("{kind}:{id}"))
}

/// How an author stands to a repository.
pub(crate) fn association(model: &Model, repo: &Repo, author: u64) -> &'static str {
    if author == repo.owner {
        return "OWNER";
    }
    match repo.collaborators.get(&author) {
        Some(role) if *role > Role::Read => "COLLABORATOR",
        _ if repo.issues.values().any(|issue| {
            issue.author == author && issue.pull.as_ref().is_some_and(|pull| pull.merged_at.is_some())
        }) =>
        {
            "CONTRIBUTOR"
        }
        Some(_) if model.users.contains_key(&author) && repo.private => "COLLABORATOR",
        _ => "NONE",
    }
}
