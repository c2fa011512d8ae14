//! The person of the demo, acting through GitHub's REST paths like any client.

use reqwest::{Client, RequestBuilder};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use super::{DemoError, LABEL, NAME, OWNER};
use crate::up::State;

/// An issue as the API gives it.
#[derive(Debug, Deserialize)]
pub(super) struct Issue {
    pub(super) number: i64,
    pub(super) title: String,
    pub(super) html_url: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    labels: Vec<Label>,
}

#[derive(Debug, Deserialize)]
struct Label {
    name: String,
}

/// A pull request as the API gives it.
#[derive(Debug, Deserialize)]
pub(super) struct PullRequest {
    pub(super) title: String,
    pub(super) html_url: String,
    pub(super) head: Head,
}

/// Where its commits are.
#[derive(Debug, Deserialize)]
pub(super) struct Head {
    #[serde(rename = "ref")]
    pub(super) branch: String,
    pub(super) sha: String,
}

/// A commit status as the API gives it.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub(super) context: String,
    pub(super) state: String,
    pub(super) description: Option<String>,
}

/// The signed-in person.
pub(super) struct Maintainer {
    client: Client,
    repository: String,
    token: String,
}

impl Maintainer {
    pub(super) fn of(state: &State) -> Result<Self, DemoError> {
        let token = state.forge_tokens.get("maintainer").ok_or(DemoError::NoToken)?.clone();
        let repository = format!("{}/repos/{OWNER}/{NAME}", state.forge_url.trim_end_matches('/'));
        Ok(Self { client: Client::new(), repository, token })
    }

    /// The seeded issue, or one with the same text when that was worked on before.
    pub(super) async fn fresh_issue(&self) -> Result<Issue, DemoError> {
        let first: Issue = self.ask("read issue 1", self.client.get(self.path("issues/1"))).await?;
        let used = |label: &Label| label.name == LABEL || label.name.starts_with("codex:");
        if !first.labels.iter().any(used) {
            return Ok(first);
        }
        let same = json!({ "title": first.title, "body": first.body });
        self.ask("open an issue", self.client.post(self.path("issues")).json(&same)).await
    }

    /// Puts the label on that starts the agent.
    pub(super) async fn label(&self, issue: i64) -> Result<(), DemoError> {
        let path = self.path(&format!("issues/{issue}/labels"));
        let _: serde_json::Value =
            self.ask("label the issue", self.client.post(path).json(&json!({ "labels": [LABEL] }))).await?;
        Ok(())
    }

    pub(super) async fn pull_request(&self, number: i64) -> Result<PullRequest, DemoError> {
        self.ask("read the pull request", self.client.get(self.path(&format!("pulls/{number}")))).await
    }

    pub(super) async fn statuses(&self, sha: &str) -> Result<Vec<Status>, DemoError> {
        #[derive(Deserialize)]
        struct Combined {
            statuses: Vec<Status>,
        }
        let path = self.path(&format!("commits/{sha}/status"));
        let combined: Combined = self.ask("read the commit's statuses", self.client.get(path)).await?;
        Ok(combined.statuses)
    }

    fn path(&self, rest: &str) -> String {
        format!("{}/{rest}", self.repository)
    }

    async fn ask<T: DeserializeOwned>(&self, what: &'static str, request: RequestBuilder) -> Result<T, DemoError> {
        let failed = |source| DemoError::Forge { what, source };
        let answer = request.bearer_auth(&self.token).header("user-agent", "cargo-dev-demo").send().await;
        answer.and_then(reqwest::Response::error_for_status).map_err(failed)?.json().await.map_err(failed)
    }
}
