//! Opening, changing and closing issues.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{field, labels};
use crate::github::{
    access::{At, Need},
    error::ApiError,
    forge::{Forge, Tx},
    state::{Issue, Role},
};

/// A label named in a request: a plain name, or an object with one.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum LabelName {
    Plain(String),
    Object { name: String },
}

impl LabelName {
    pub(crate) fn into_string(self) -> String {
        match self {
            Self::Plain(name) | Self::Object { name } => name,
        }
    }
}

/// An issue to open.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct NewIssue {
    pub(crate) title: String,
    pub(crate) body: Option<String>,
    #[serde(default)]
    pub(crate) labels: Vec<LabelName>,
}

/// Changes to an issue or to the issue side of a pull request.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct EditIssue {
    pub(crate) title: Option<String>,
    #[serde(default, deserialize_with = "field::given")]
    pub(crate) body: Option<Option<String>>,
    pub(crate) state: Option<String>,
    #[serde(default)]
    pub(crate) state_reason: Option<String>,
    pub(crate) labels: Option<Vec<LabelName>>,
}

/// Opens an issue.
pub(crate) fn create(forge: &Forge, at: &At, new: NewIssue) -> Result<Issue, ApiError> {
    forge.write(|tx| {
        let repo = tx.repo(at, Need::Speak)?;
        let author = at.caller.required()?;
        if new.title.trim().is_empty() {
            return Err(ApiError::invalid("Issue", "title", "missing_field"));
        }
        let names: Vec<String> = new.labels.into_iter().map(LabelName::into_string).collect();
        labels::check_names(&names)?;
        let (title, body) = (new.title, new.body);
        let number = open(tx, repo, author, (title, body))?;
        tx.emit_issue(repo, number, "opened", author, json!({}))?;
        // Labels given by somebody who may not label are dropped without a word, as on GitHub.
        if tx.view().repo(at, Need::Triage).is_ok() {
            labels::attach(tx, (repo, number), author, names)?;
        }
        tx.issue_mut(repo, number).cloned()
    })
}

/// Writes the row that issues and pull requests share.
pub(crate) fn open(tx: &mut Tx<'_>, repo: u64, author: u64, text: (String, Option<String>)) -> Result<u64, ApiError> {
    let id = tx.model.fresh_id();
    let now = tx.now;
    let known = tx.repo_mut(repo)?;
    known.last_number += 1;
    let number = known.last_number;
    known.issues.insert(
        number,
        Issue {
            id,
            number,
            title: text.0,
            body: text.1,
            author,
            open: true,
            state_reason: None,
            labels: Vec::new(),
            created_at: now,
            updated_at: now,
            closed_at: None,
            closed_by: None,
            pull: None,
        },
    );
    Ok(number)
}

/// Changes an issue; its author may, and whoever may triage.
pub(crate) fn edit(forge: &Forge, at: &At, number: u64, edit: EditIssue) -> Result<Issue, ApiError> {
    forge.write(|tx| {
        let repo = tx.repo(at, Need::Speak)?;
        edit_in(tx, at, (repo, number), edit)
    })
}

/// Changes an issue inside a larger change.
pub(crate) fn edit_in(
    tx: &mut Tx<'_>,
    at: &At,
    (repo, number): (u64, u64),
    edit: EditIssue,
) -> Result<Issue, ApiError> {
    let actor = at.caller.required()?;
    let author = tx.issue_mut(repo, number)?.author;
    let role = tx.view().repo(at, Need::Read).map(|repo| tx.model.role(Some(actor), repo))?;
    let triage = role >= Some(Role::Triage);
    if !triage && author != actor {
        return Err(ApiError::no_right());
    }
    if edit.state.as_deref().is_some_and(|state| state != "open" && state != "closed") {
        return Err(ApiError::invalid("Issue", "state", "invalid"));
    }
    if edit.title.as_deref().is_some_and(|title| title.trim().is_empty()) {
        return Err(ApiError::invalid("Issue", "title", "missing_field"));
    }
    let EditIssue { title, body, state, state_reason, labels: names } = edit;
    let merged = tx.issue_mut(repo, number)?.pull.as_ref().is_some_and(|pull| pull.merged_at.is_some());
    if merged && state.as_deref() == Some("open") {
        return Err(ApiError::custom("PullRequest", "state", "state cannot be changed. The pull request is merged."));
    }
    let names: Option<Vec<String>> = names.map(|names| names.into_iter().map(LabelName::into_string).collect());
    labels::check_names(names.as_deref().unwrap_or_default())?;
    edit_text(tx, (repo, number), actor, (title, body))?;
    if let Some(names) = names.filter(|_| triage) {
        labels::replace(tx, (repo, number), actor, names)?;
    }
    if let Some(state) = state {
        set_open(tx, (repo, number), actor, (state == "open", state_reason))?;
    }
    tx.issue_mut(repo, number).cloned()
}

fn edit_text(
    tx: &mut Tx<'_>,
    (repo, number): (u64, u64),
    actor: u64,
    (title, body): (Option<String>, Option<Option<String>>),
) -> Result<(), ApiError> {
    let now = tx.now;
    let issue = tx.issue_mut(repo, number)?;
    let mut changes = Map::new();
    if let Some(title) = title.filter(|title| *title != issue.title) {
        changes.insert("title".into(), json!({"from": issue.title}));
        issue.title = title;
    }
    if let Some(body) = body.filter(|body| *body != issue.body) {
        changes.insert("body".into(), json!({"from": issue.body}));
        issue.body = body;
    }
    if changes.is_empty() {
        return Ok(());
    }
    issue.updated_at = now;
    tx.emit_issue(repo, number, "edited", actor, json!({"changes": Value::Object(changes)}))
}

/// Closes or opens again; nothing happens if it already is so.
pub(crate) fn set_open(
    tx: &mut Tx<'_>,
    (repo, number): (u64, u64),
    actor: u64,
    (open, reason): (bool, Option<String>),
) -> Result<(), ApiError> {
    let now = tx.now;
    let issue = tx.issue_mut(repo, number)?;
    if issue.open == open {
        return Ok(());
    }
    issue.open = open;
    issue.updated_at = now;
    issue.closed_at = (!open).then_some(now);
    issue.closed_by = (!open).then_some(actor);
    let default = if open { "reopened" } else { "completed" };
    issue.state_reason = issue.pull.is_none().then(|| reason.unwrap_or_else(|| default.into()));
    let action = if open { "reopened" } else { "closed" };
    tx.emit_issue(repo, number, action, actor, json!({}))
}
