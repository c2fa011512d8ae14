//! Commit statuses.

use serde::Deserialize;
use serde_json::json;

use crate::github::{
    access::{At, Need},
    error::ApiError,
    events::Event,
    forge::Forge,
    shapes,
    state::{Repo, Status},
};

/// A status to write.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct NewStatus {
    pub(crate) state: String,
    pub(crate) target_url: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) context: Option<String>,
}

/// Writes a status on a commit that exists.
pub(crate) async fn create(forge: &Forge, at: &At, sha: &str, new: NewStatus) -> Result<Status, ApiError> {
    let repo = forge.read(|view| view.repo(at, Need::Push).map(|repo| repo.id))?;
    if !["error", "failure", "pending", "success"].contains(&new.state.as_str()) {
        return Err(ApiError::invalid("Status", "state", "invalid"));
    }
    if new.description.as_deref().is_some_and(|text| text.chars().count() > 140) {
        return Err(ApiError::custom("Status", "description", "description is too long (maximum is 140 characters)"));
    }
    let is_sha = sha.len() == 40 && sha.bytes().all(|digit| digit.is_ascii_hexdigit());
    let no_commit = || ApiError::unprocessable(format!("No commit found for SHA: {sha}"));
    if !is_sha {
        return Err(no_commit());
    }
    let commit = forge.git.commit_of(repo, sha).await.map_err(|_| no_commit())?;
    let refs = forge.git.refs(repo).await?;
    forge.write(|tx| {
        let creator = at.caller.required()?;
        let status = Status {
            id: tx.model.fresh_id(),
            sha: sha.to_owned(),
            state: new.state,
            target_url: new.target_url,
            description: new.description,
            context: new.context.unwrap_or_else(|| "default".into()),
            creator,
            created_at: tx.now,
        };
        tx.repo_mut(repo)?.statuses.push(status.clone());
        let view = tx.view();
        let known = view.model.repos.get(&repo).ok_or(ApiError::NotFound)?;
        let branches: Vec<_> = refs
            .iter()
            .filter_map(|(name, at)| Some((name.strip_prefix("refs/heads/")?, at)))
            .filter(|(_, at)| *at == sha)
            .map(|(name, at)| view.branch(known, name, at))
            .collect();
        let fields = json!({
            "id": status.id, "sha": sha, "name": view.links(known).full_name,
            "avatar_url": format!("{}/avatars/u/{creator}", view.base),
            "target_url": status.target_url, "context": status.context,
            "description": status.description, "state": status.state,
            "commit": view.commit(known, &commit), "branches": branches,
            "created_at": shapes::time(status.created_at), "updated_at": shapes::time(status.created_at),
        });
        tx.emit(repo, Event::new("status", None, creator, fields))?;
        Ok(status)
    })
}

/// The newest status of each context of a commit, newest first.
pub(crate) fn newest(repo: &Repo, sha: &str) -> Vec<Status> {
    let mut newest: Vec<Status> = Vec::new();
    for status in repo.statuses.iter().rev().filter(|status| status.sha == sha) {
        if !newest.iter().any(|known| known.context == status.context) {
            newest.push(status.clone());
        }
    }
    newest
}

/// One word for all contexts together.
pub(crate) fn combined(statuses: &[Status]) -> &'static str {
    let any = |states: &[&str]| statuses.iter().any(|status| states.contains(&status.state.as_str()));
    if any(&["error", "failure"]) {
        "failure"
    } else if statuses.is_empty() || any(&["pending"]) {
        "pending"
    } else {
        "success"
    }
}
