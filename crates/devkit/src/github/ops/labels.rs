//! Labels of a repository and on issues.

use serde::Deserialize;
use serde_json::json;

use crate::github::{
    access::{At, Need},
    error::ApiError,
    forge::{Forge, Tx},
    state::Label,
};

/// Colour of a label that comes into being by being put on.
const DEFAULT_COLOR: &str = "ededed";

/// A label to make.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct NewLabel {
    pub(crate) name: String,
    pub(crate) color: Option<String>,
    pub(crate) description: Option<String>,
}

/// Makes a label.
pub(crate) fn create(forge: &Forge, at: &At, new: NewLabel) -> Result<Label, ApiError> {
    forge.write(|tx| {
        let repo = tx.repo(at, Need::Push)?;
        let color = new.color.unwrap_or_else(|| DEFAULT_COLOR.into());
        if color.len() != 6 || !color.chars().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(ApiError::invalid("Label", "color", "invalid"));
        }
        if new.name.trim().is_empty() {
            return Err(ApiError::invalid("Label", "name", "missing_field"));
        }
        if tx.repo_mut(repo)?.label(&new.name).is_some() {
            return Err(ApiError::invalid("Label", "name", "already_exists"));
        }
        let label = Label { id: tx.model.fresh_id(), name: new.name, color, description: new.description };
        tx.repo_mut(repo)?.labels.push(label.clone());
        Ok(label)
    })
}

/// Removes a label from the repository and from every issue.
pub(crate) fn delete(forge: &Forge, at: &At, name: &str) -> Result<(), ApiError> {
    forge.write(|tx| {
        let repo = tx.repo(at, Need::Push)?;
        let known = tx.repo_mut(repo)?;
        let id = known.label(name).ok_or(ApiError::NotFound)?.id;
        known.labels.retain(|label| label.id != id);
        for issue in known.issues.values_mut() {
            issue.labels.retain(|label| *label != id);
        }
        Ok(())
    })
}

/// Puts labels on an issue.
pub(crate) fn add(forge: &Forge, at: &At, number: u64, names: Vec<String>) -> Result<(), ApiError> {
    forge.write(|tx| {
        let repo = tx.repo(at, Need::Triage)?;
        attach(tx, (repo, number), at.caller.required()?, names)
    })
}

/// Leaves exactly these labels on an issue.
pub(crate) fn set(forge: &Forge, at: &At, number: u64, names: Vec<String>) -> Result<(), ApiError> {
    forge.write(|tx| {
        let repo = tx.repo(at, Need::Triage)?;
        replace(tx, (repo, number), at.caller.required()?, names)
    })
}

/// Takes one label off an issue.
pub(crate) fn remove(forge: &Forge, at: &At, number: u64, name: &str) -> Result<(), ApiError> {
    forge.write(|tx| {
        let repo = tx.repo(at, Need::Triage)?;
        let actor = at.caller.required()?;
        let label = tx.repo_mut(repo)?.label(name).map(|label| label.id);
        let on = tx.issue_mut(repo, number)?.labels.clone();
        match label.filter(|label| on.contains(label)) {
            Some(label) => detach(tx, (repo, number), actor, label),
            None => Err(ApiError::NotFound),
        }
    })
}

/// Refuses a name with nothing in it.
pub(crate) fn check_names(names: &[String]) -> Result<(), ApiError> {
    if names.iter().any(|name| name.trim().is_empty()) {
        return Err(ApiError::invalid("Label", "name", "missing_field"));
    }
    Ok(())
}

/// Puts labels on inside a larger change; names that are new become labels of the repository. Each that is new on the issue has an
/// event of its own, sent when all of them are on: every one shows the issue as it is then, as GitHub's do.
pub(crate) fn attach(
    tx: &mut Tx<'_>,
    (repo, number): (u64, u64),
    actor: u64,
    names: Vec<String>,
) -> Result<(), ApiError> {
    tx.issue_mut(repo, number)?;
    check_names(&names)?;
    let mut added = Vec::new();
    for name in names {
        let known = tx.repo_mut(repo)?.label(&name).cloned();
        let label = if let Some(label) = known {
            label
        } else {
            let id = tx.model.fresh_id();
            let label = Label { id, name, color: DEFAULT_COLOR.into(), description: None };
            tx.repo_mut(repo)?.labels.push(label.clone());
            label
        };
        let now = tx.now;
        let issue = tx.issue_mut(repo, number)?;
        if issue.labels.contains(&label.id) {
            continue;
        }
        issue.labels.push(label.id);
        issue.updated_at = now;
        added.push(label);
    }
    added.iter().try_for_each(|label| emit(tx, (repo, number), ("labeled", actor), label))
}

/// Leaves exactly these labels inside a larger change.
pub(crate) fn replace(
    tx: &mut Tx<'_>,
    (repo, number): (u64, u64),
    actor: u64,
    names: Vec<String>,
) -> Result<(), ApiError> {
    let known = tx.repo_mut(repo)?;
    let keep: Vec<u64> = names.iter().filter_map(|name| known.label(name)).map(|label| label.id).collect();
    let on = tx.issue_mut(repo, number)?.labels.clone();
    for label in on.into_iter().filter(|label| !keep.contains(label)) {
        detach(tx, (repo, number), actor, label)?;
    }
    attach(tx, (repo, number), actor, names)
}

fn detach(tx: &mut Tx<'_>, (repo, number): (u64, u64), actor: u64, label: u64) -> Result<(), ApiError> {
    let now = tx.now;
    let issue = tx.issue_mut(repo, number)?;
    issue.labels.retain(|known| *known != label);
    issue.updated_at = now;
    let Some(label) = tx.repo_mut(repo)?.label_by_id(label).cloned() else { return Ok(()) };
    emit(tx, (repo, number), ("unlabeled", actor), &label)
}

fn emit(
    tx: &mut Tx<'_>,
    (repo, number): (u64, u64),
    (action, actor): (&'static str, u64),
    label: &Label,
) -> Result<(), ApiError> {
    let known = tx.model.repos.get(&repo).ok_or(ApiError::NotFound)?;
    let label = json!({"label": tx.view().label(known, label)});
    tx.emit_issue(repo, number, action, actor, label)
}
