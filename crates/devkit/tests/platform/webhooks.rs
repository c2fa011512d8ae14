//! A label and its cancel as GitHub tells them, for tests that choose gateway and moment.

use devkit::harness::{Platform, REPOSITORY};
use serde_json::{Value, json};

/// What all webhooks of a test have in common.
pub(super) struct Webhooks {
    repository: Value,
    sender: Value,
    at: String,
}

impl Webhooks {
    /// The maintainer's, at this moment.
    pub(super) fn of(platform: &Platform) -> anyhow::Result<Self> {
        let maintainer = platform.forge.user("maintainer")?;
        Ok(Self {
            repository: platform.forge.repository_json(REPOSITORY)?,
            sender: json!({ "id": maintainer.id, "login": "maintainer", "type": "User" }),
            at: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        })
    }

    /// `run:dev` is put on.
    pub(super) fn labeled(&self, number: u64) -> Value {
        let label = json!({ "name": "run:dev" });
        let issue = json!({
            "id": number, "number": number, "title": "Do it", "body": "", "state": "open",
            "labels": [label], "user": self.sender, "created_at": self.at, "updated_at": self.at,
        });
        json!({ "action": "labeled", "issue": issue, "label": label, "repository": self.repository, "sender": self.sender })
    }

    /// `/cancel` is written.
    pub(super) fn cancel_command(&self, number: u64) -> Value {
        let issue = json!({
            "id": number, "number": number, "title": "Do it", "body": "", "state": "open", "labels": [],
            "user": self.sender, "created_at": self.at, "updated_at": self.at,
        });
        let comment = json!({
            "id": 1_000_000 + number, "body": "/cancel", "user": self.sender, "created_at": self.at, "updated_at": self.at,
        });
        json!({ "action": "created", "issue": issue, "comment": comment, "repository": self.repository, "sender": self.sender })
    }
}
