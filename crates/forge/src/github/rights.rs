//! What a credential may do in a repository, found out without changing anything there.
//!
//! GitHub tells what an App's installation may do. For a personal access token there is no such question: each right is tried with
//! a write that can't succeed because what it is about does not exist. GitHub looks at the right first: 403 without it, 422 (or 404)
//! with it.

use domain::{
    connection::CredentialKind,
    rights::{Right, RightCheck},
    sentences,
};
use http::Method;
use serde_json::{Value, json};

use super::{
    GitHub,
    tokens::{InstallationTokens, Tokens},
    transport::Call,
    wire::WireRoles,
};
use crate::{ForgeError, RepoRef};

/// A branch and a commit that no repository has.
const NO_BRANCH: &str = "codex-k8s-rights-check";
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// A write that can't succeed.
struct Probe {
    right: Right,
    method: Method,
    path: &'static [&'static str],
    body: Value,
}

/// One for each right that includes writing.
fn probes() -> Vec<Probe> {
    let post = |right, path, body| Probe { right, method: Method::POST, path, body };
    let branch: &[&str] = &["git", "refs", "heads", NO_BRANCH];
    vec![
        // A branch that is not there, to a commit that is not there.
        Probe { right: Right::Contents, method: Method::PATCH, path: branch, body: json!({ "sha": NO_COMMIT }) },
        // An issue without a title.
        post(Right::Issues, &["issues"], json!({ "title": "" })),
        // A pull request between branches that are not there.
        post(Right::PullRequests, &["pulls"], json!({ "title": "", "head": NO_BRANCH, "base": NO_BRANCH })),
        // A status of a commit that is not there.
        post(Right::Statuses, &["statuses", NO_COMMIT], json!({ "state": "pending" })),
        // A webhook that goes nowhere.
        post(Right::Webhooks, &["hooks"], json!({ "name": "web", "active": false, "config": {} })),
    ]
}

impl GitHub {
    /// [`ForgeError::NotFound`] if the credential does not see the repository.
    pub(super) async fn check_rights(&self, repo: &RepoRef) -> Result<Vec<RightCheck>, ForgeError> {
        match &self.tokens {
            Tokens::Fixed(_) => self.probe_rights(repo).await,
            Tokens::Installation(tokens) => self.granted_rights(tokens).await,
        }
    }

    async fn granted_rights(&self, tokens: &InstallationTokens) -> Result<Vec<RightCheck>, ForgeError> {
        let granted = tokens.installation(&self.transport).await?.permissions;
        let check = |&right: &Right| {
            let level = granted.get(right.as_str()).map(String::as_str);
            let held = if right.writes() { matches!(level, Some("write" | "admin")) } else { level.is_some() };
            let remedy = (!held).then(|| right.where_granted(CredentialKind::App));
            RightCheck { right, held, remedy }
        };
        Ok(Right::ALL.iter().map(check).collect())
    }

    async fn probe_rights(&self, repo: &RepoRef) -> Result<Vec<RightCheck>, ForgeError> {
        let roles = self.own_roles(repo).await?;
        let mut checks = vec![RightCheck { right: Right::Metadata, held: true, remedy: None }];
        for Probe { right, method, path, body } in probes() {
            let route = self.repo_route(repo, path)?;
            let answer = self.call(repo, Call::new(method, route).body(body)).await.map(drop);
            let remedy = self.remedy(right, roles, answer).await?;
            checks.push(RightCheck { right, held: remedy.is_none(), remedy });
        }
        Ok(checks)
    }

    /// What has to be done about a right; nothing if the answer to its probe shows that it is held.
    async fn remedy(
        &self,
        right: Right,
        roles: WireRoles,
        answer: Result<(), ForgeError>,
    ) -> Result<Option<String>, ForgeError> {
        let refused = match answer {
            Err(ForgeError::Forbidden { .. }) => true,
            // GitHub hides webhooks from those who may not see them; everything else that is looked for is not there.
            Err(ForgeError::NotFound) => right == Right::Webhooks,
            Err(ForgeError::Gone { message }) => return Ok(Some(switched_off(right, &message))),
            Ok(()) | Err(ForgeError::Validation { .. } | ForgeError::Conflict { .. }) => false,
            Err(other) => return Err(other),
        };
        if !refused {
            return Ok(None);
        }
        let (enough, role) = if right == Right::Webhooks { (roles.admin, "Admin") } else { (roles.push, "Write") };
        if enough {
            return Ok(Some(right.where_granted(CredentialKind::Token)));
        }
        let login = self.account().await?.login;
        Ok(Some(sentences::role_then_grant(login, role, right.where_granted(CredentialKind::Token))))
    }
}

fn switched_off(right: Right, message: &str) -> String {
    sentences::feature_switched_off(right.title(), message)
}
