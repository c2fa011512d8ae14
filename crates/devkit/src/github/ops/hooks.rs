//! Webhook registrations, pings and redelivery.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::github::{
    access::{At, Need},
    error::ApiError,
    events::Event,
    forge::{Forge, Tx},
    state::{Delivery, Hook},
};

/// GitHub's limit of hooks per event and repository.
const MAX_HOOKS: usize = 20;

/// Where and how a hook delivers.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct HookConfig {
    pub(crate) url: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) secret: Option<String>,
    pub(crate) insecure_ssl: Option<Value>,
}

/// A hook to make.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct NewHook {
    #[serde(default)]
    pub(crate) config: HookConfig,
    pub(crate) events: Option<Vec<String>>,
    pub(crate) active: Option<bool>,
}

/// Changes to a hook.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct EditHook {
    pub(crate) config: Option<HookConfig>,
    pub(crate) events: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) add_events: Vec<String>,
    #[serde(default)]
    pub(crate) remove_events: Vec<String>,
    pub(crate) active: Option<bool>,
}

fn check_url(url: &str) -> Result<(), ApiError> {
    match url::Url::parse(url) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(()),
        _ => Err(ApiError::custom("Hook", "url", "url is not a valid URL")),
    }
}

fn insecure_ssl(value: Option<Value>) -> String {
    match value {
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
        None => "0".into(),
    }
}

/// Makes a hook and pings it.
pub(crate) fn create(forge: &Forge, at: &At, new: NewHook) -> Result<Hook, ApiError> {
    forge.write(|tx| {
        let repo = tx.repo(at, Need::Admin)?;
        let NewHook { config, events, active } = new;
        let url = config.url.ok_or_else(|| ApiError::invalid("Hook", "url", "missing_field"))?;
        check_url(&url)?;
        let known = tx.repo_mut(repo)?;
        if known.hooks.values().any(|hook| hook.url == url) {
            return Err(ApiError::Invalid {
                message: "Validation Failed".into(),
                errors: vec![json!({
                    "resource": "Hook", "code": "custom",
                    "message": "Hook already exists on this repository",
                })],
            });
        }
        if known.hooks.len() >= MAX_HOOKS {
            return Err(ApiError::custom("Hook", "base", "The limit of hooks of this event is 20"));
        }
        let hook = Hook {
            id: tx.model.fresh_id(),
            url,
            content_type: config.content_type.unwrap_or_else(|| "form".into()),
            secret: config.secret.filter(|secret| !secret.is_empty()),
            insecure_ssl: insecure_ssl(config.insecure_ssl),
            events: events.unwrap_or_else(|| vec!["push".into()]),
            active: active.unwrap_or(true),
            created_at: tx.now,
            updated_at: tx.now,
            last_response: None,
        };
        tx.repo_mut(repo)?.hooks.insert(hook.id, hook.clone());
        emit_ping(tx, repo, hook.id, at.caller.required()?)?;
        Ok(hook)
    })
}

/// Changes a hook.
pub(crate) fn edit(forge: &Forge, at: &At, id: u64, edit: EditHook) -> Result<Hook, ApiError> {
    forge.write(|tx| {
        let repo = tx.repo(at, Need::Admin)?;
        if let Some(url) = edit.config.as_ref().and_then(|config| config.url.as_ref()) {
            check_url(url)?;
        }
        let now = tx.now;
        let hook = tx.repo_mut(repo)?.hooks.get_mut(&id).ok_or(ApiError::NotFound)?;
        if let Some(config) = edit.config {
            // As on GitHub a config replaces the whole: leaving the secret out takes it away.
            hook.url = config.url.unwrap_or_else(|| hook.url.clone());
            hook.content_type = config.content_type.unwrap_or_else(|| "form".into());
            hook.secret = config.secret.filter(|secret| !secret.is_empty());
            hook.insecure_ssl = insecure_ssl(config.insecure_ssl);
        }
        hook.events = edit.events.unwrap_or_else(|| hook.events.clone());
        hook.events.retain(|event| !edit.remove_events.contains(event));
        for event in edit.add_events {
            if !hook.events.contains(&event) {
                hook.events.push(event);
            }
        }
        hook.active = edit.active.unwrap_or(hook.active);
        hook.updated_at = now;
        Ok(hook.clone())
    })
}

/// Removes a hook; its log goes with it.
pub(crate) fn delete(forge: &Forge, at: &At, id: u64) -> Result<(), ApiError> {
    forge.write(|tx| {
        let repo = tx.repo(at, Need::Admin)?;
        tx.repo_mut(repo)?.hooks.remove(&id).ok_or(ApiError::NotFound)?;
        tx.model.deliveries.retain(|_, delivery| delivery.hook != id);
        Ok(())
    })
}

/// Sends a ping.
pub(crate) fn ping(forge: &Forge, at: &At, id: u64) -> Result<(), ApiError> {
    forge.write(|tx| {
        let repo = tx.repo(at, Need::Admin)?;
        emit_ping(tx, repo, id, at.caller.required()?)
    })
}

fn emit_ping(tx: &mut Tx<'_>, repo: u64, id: u64, actor: u64) -> Result<(), ApiError> {
    let view = tx.view();
    let known = view.model.repos.get(&repo).ok_or(ApiError::NotFound)?;
    let hook = known.hooks.get(&id).ok_or(ApiError::NotFound)?;
    let fields = json!({
        "zen": "Keep it logically awesome.", "hook_id": id, "hook": view.hook(known, hook),
    });
    tx.emit_to(repo, &[id], Event::new("ping", None, actor, fields))
}

/// Sends a stored delivery once more, under the same GUID.
pub(crate) fn redeliver(forge: &Forge, at: &At, hook: u64, delivery: u64) -> Result<(), ApiError> {
    forge.write(|tx| {
        let repo = tx.repo(at, Need::Admin)?;
        tx.repo_mut(repo)?.hooks.get(&hook).ok_or(ApiError::NotFound)?;
        let first = tx.model.deliveries.get(&delivery).filter(|known| known.hook == hook);
        let first = first.cloned().ok_or(ApiError::NotFound)?;
        let id = tx.model.fresh_id();
        let again = Delivery {
            id,
            redelivery: true,
            delivered_at: None,
            duration: 0.0,
            status: "pending".into(),
            status_code: 0,
            request_headers: BTreeMap::new(),
            response_headers: BTreeMap::new(),
            response_body: String::new(),
            ..first
        };
        tx.model.deliveries.insert(id, again);
        tx.outgoing.push(id);
        Ok(())
    })
}
