//! Webhook registrations of a repository.

use http::Method;
use serde_json::{Value, json};

use super::{GitHub, transport::Call, wire::WireHook};
use crate::{
    ForgeError, RepoRef,
    ids::HookNumber,
    model::{Hook, HookSpec},
};

/// GitHub allows twenty for each event.
const MAX_HOOKS: usize = 400;

impl GitHub {
    pub(super) async fn list_hooks(&self, repo: &RepoRef) -> Result<Vec<Hook>, ForgeError> {
        let route = self.repo_route(repo, &["hooks"])?;
        let wire: Vec<WireHook> = self.list(repo, route, MAX_HOOKS).await?;
        Ok(wire.into_iter().map(Hook::from).collect())
    }

    pub(super) async fn post_hook(&self, repo: &RepoRef, spec: &HookSpec<'_>) -> Result<Hook, ForgeError> {
        let mut body = described(spec);
        body["name"] = "web".into();
        let route = self.repo_route(repo, &["hooks"])?;
        Ok(self.call(repo, Call::new(Method::POST, route).body(body)).await?.json::<WireHook>()?.into())
    }

    pub(super) async fn edit_hook(
        &self,
        repo: &RepoRef,
        id: HookNumber,
        spec: &HookSpec<'_>,
    ) -> Result<Hook, ForgeError> {
        let route = self.repo_route(repo, &["hooks", &id.to_string()])?;
        Ok(self.call(repo, Call::new(Method::PATCH, route).body(described(spec))).await?.json::<WireHook>()?.into())
    }

    pub(super) async fn drop_hook(&self, repo: &RepoRef, id: HookNumber) -> Result<(), ForgeError> {
        let route = self.repo_route(repo, &["hooks", &id.to_string()])?;
        match self.call(repo, Call::new(Method::DELETE, route)).await {
            Ok(_) | Err(ForgeError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn send_ping(&self, repo: &RepoRef, id: HookNumber) -> Result<(), ForgeError> {
        let route = self.repo_route(repo, &["hooks", &id.to_string(), "pings"])?;
        self.call(repo, Call::new(Method::POST, route)).await.map(drop)
    }
}

/// Without a secret its configuration is left out: GitHub keeps the one it has.
fn described(spec: &HookSpec<'_>) -> Value {
    let mut body = json!({ "active": spec.active, "events": spec.events });
    if let Some(secret) = spec.secret {
        body["config"] =
            json!({ "url": spec.url, "content_type": "json", "insecure_ssl": "0", "secret": secret.expose() });
    }
    body
}
