//! Issues.

use axum::{
    Json, Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use serde::Deserialize;
use serde_json::Value;

use super::{Body, Listing, created};
use crate::github::{
    access::{At, Need},
    error::ApiError,
    forge::Forge,
    ops::issues::{self, EditIssue, NewIssue},
    state::{Issue, Repo},
};

/// The number in a path.
#[derive(Deserialize)]
pub(super) struct Numbered {
    pub(super) number: u64,
}

pub(super) fn router() -> Router<Forge> {
    Router::new()
        .route("/repos/{owner}/{repo}/issues", get(list).post(create))
        .route("/repos/{owner}/{repo}/issues/{number}", get(one).patch(edit))
}

async fn list(State(forge): State<Forge>, at: At, list: Listing) -> Result<Response, ApiError> {
    let since = list.since()?;
    let items: Vec<Value> = forge.read(|view| {
        let repo = view.repo(&at, Need::Read)?;
        let creator = list.get("creator").map(|login| view.model.user(login).map(|user| user.id));
        let mut found: Vec<&Issue> = repo
            .issues
            .values()
            .filter(|issue| in_state(issue, list.get("state")))
            .filter(|issue| since.is_none_or(|since| issue.updated_at >= since))
            .filter(|issue| creator.is_none_or(|creator| creator == Some(issue.author)))
            .filter(|issue| has_labels(repo, issue, list.get("labels")))
            .collect();
        sort(&mut found, &list);
        Ok::<_, ApiError>(found.into_iter().map(|issue| view.issue(repo, issue)).collect())
    })?;
    Ok(list.respond(&forge, &items))
}

/// Does the issue fit the `state` filter, which is `open` when not given?
pub(super) fn in_state(issue: &Issue, wanted: Option<&str>) -> bool {
    match wanted {
        Some("all") => true,
        Some("closed") => !issue.open,
        _ => issue.open,
    }
}

fn has_labels(repo: &Repo, issue: &Issue, wanted: Option<&str>) -> bool {
    let mut wanted = wanted.into_iter().flat_map(|names| names.split(','));
    wanted.all(|name| repo.label(name).is_some_and(|label| issue.labels.contains(&label.id)))
}

/// Newest first unless the query says otherwise.
pub(super) fn sort(found: &mut [&Issue], list: &Listing) {
    if list.get("sort") == Some("updated") {
        found.sort_by_key(|issue| (issue.updated_at, issue.number));
    } else {
        found.sort_by_key(|issue| issue.number);
    }
    if !list.ascending(false) {
        found.reverse();
    }
}

async fn create(State(forge): State<Forge>, at: At, Body(new): Body<NewIssue>) -> Result<Response, ApiError> {
    let issue = issues::create(&forge, &at, new)?;
    show(&forge, &at, &issue).map(created)
}

async fn one(
    State(forge): State<Forge>,
    at: At,
    Path(Numbered { number }): Path<Numbered>,
) -> Result<Json<Value>, ApiError> {
    forge.read(|view| {
        let repo = view.repo(&at, Need::Read)?;
        let issue = repo.issues.get(&number).ok_or(ApiError::NotFound)?;
        Ok(Json(view.issue(repo, issue)))
    })
}

async fn edit(
    State(forge): State<Forge>,
    at: At,
    Path(Numbered { number }): Path<Numbered>,
    Body(edit): Body<EditIssue>,
) -> Result<Json<Value>, ApiError> {
    let issue = issues::edit(&forge, &at, number, edit)?;
    show(&forge, &at, &issue).map(Json)
}

fn show(forge: &Forge, at: &At, issue: &Issue) -> Result<Value, ApiError> {
    forge.read(|view| Ok(view.issue(view.repo(at, Need::Read)?, issue)))
}
