//! Pull requests with their files, commits and diff.

use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{get, put},
};
use http::HeaderMap;
use serde_json::{Value, json};

use super::{
    Body, Listing, created,
    issues::{Numbered, in_state, sort},
    text, wants,
};
use crate::github::{
    access::{At, Need},
    error::ApiError,
    forge::{Forge, View},
    ops::{
        merge::{self, Merge},
        pulls::{self, EditPull, NewPull},
    },
    state::{Issue, Pull},
};

/// GitHub lists no more commits of a pull request.
const MAX_COMMITS: usize = 250;
/// GitHub lists no more files of a pull request.
const MAX_FILES: usize = 3_000;

pub(super) fn router() -> Router<Forge> {
    Router::new()
        .route("/repos/{owner}/{repo}/pulls", get(list).post(create))
        .route("/repos/{owner}/{repo}/pulls/{number}", get(one).patch(edit))
        .route("/repos/{owner}/{repo}/pulls/{number}/files", get(files))
        .route("/repos/{owner}/{repo}/pulls/{number}/commits", get(commits))
        .route("/repos/{owner}/{repo}/pulls/{number}/merge", put(merge_pull))
}

async fn list(State(forge): State<Forge>, at: At, list: Listing) -> Result<Response, ApiError> {
    let items: Vec<Value> = forge.read(|view| {
        let repo = view.repo(&at, Need::Read)?;
        let mut found: Vec<&Issue> = repo
            .issues
            .values()
            .filter(|issue| in_state(issue, list.get("state")))
            .filter(|issue| {
                issue.pull.as_ref().is_some_and(|pull| {
                    list.get("base").is_none_or(|base| base == pull.base_ref)
                        && list.get("head").is_none_or(|head| is_head(view, pull, head))
                })
            })
            .collect();
        sort(&mut found, &list);
        Ok::<_, ApiError>(found.into_iter().map(|issue| view.pull_simple(repo, issue)).collect())
    })?;
    Ok(list.respond(&forge, &items))
}

/// As on GitHub the filter needs `owner:branch`; without an owner it filters nothing.
fn is_head(view: View<'_>, pull: &Pull, wanted: &str) -> bool {
    let Some((owner, branch)) = wanted.split_once(':') else { return true };
    let repo = view.model.repos.get(&pull.head_repo);
    let login = repo.and_then(|repo| view.model.users.get(&repo.owner)).map(|user| user.login.as_str());
    login.is_some_and(|login| login.eq_ignore_ascii_case(owner)) && branch == pull.head_ref
}

async fn show(forge: &Forge, at: &At, number: u64) -> Result<Value, ApiError> {
    let mergeable = pulls::mergeable(forge, at, number).await?;
    forge.read(|view| {
        let repo = view.repo(at, Need::Read)?;
        let issue = repo.issues.get(&number).ok_or(ApiError::NotFound)?;
        Ok(view.pull(repo, issue, mergeable))
    })
}

async fn create(State(forge): State<Forge>, at: At, Body(new): Body<NewPull>) -> Result<Response, ApiError> {
    let issue = pulls::create(&forge, &at, new).await?;
    show(&forge, &at, issue.number).await.map(created)
}

async fn one(
    State(forge): State<Forge>,
    at: At,
    Path(Numbered { number }): Path<Numbered>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if wants(&headers, "diff") {
        let (repo, pull) = pulls::find(&forge, &at, number)?;
        let (from, to) = pulls::range(&forge, repo, &pull).await?;
        return Ok(text("diff", forge.git.diff_text(repo, &from, &to).await?));
    }
    Ok(Json(show(&forge, &at, number).await?).into_response())
}

async fn edit(
    State(forge): State<Forge>,
    at: At,
    Path(Numbered { number }): Path<Numbered>,
    Body(edit): Body<EditPull>,
) -> Result<Json<Value>, ApiError> {
    pulls::edit(&forge, &at, number, edit).await?;
    show(&forge, &at, number).await.map(Json)
}

async fn files(
    State(forge): State<Forge>,
    at: At,
    Path(Numbered { number }): Path<Numbered>,
    list: Listing,
) -> Result<Response, ApiError> {
    let (repo, pull) = pulls::find(&forge, &at, number)?;
    let files = pulls::files(&forge, repo, &pull).await?;
    let items: Vec<Value> = forge.read(|view| {
        let repo = view.repo(&at, Need::Read)?;
        let files = files.iter().take(MAX_FILES);
        Ok::<_, ApiError>(files.map(|file| view.file(repo, &pull.head_sha, file)).collect())
    })?;
    Ok(list.respond(&forge, &items))
}

async fn commits(
    State(forge): State<Forge>,
    at: At,
    Path(Numbered { number }): Path<Numbered>,
    list: Listing,
) -> Result<Response, ApiError> {
    let (repo, pull) = pulls::find(&forge, &at, number)?;
    let not = format!("^{}", pull.base_sha);
    let commits = forge.git.log(repo, &[&pull.head_sha, &not], MAX_COMMITS).await?;
    let items: Vec<Value> = forge.read(|view| {
        let repo = view.repo(&at, Need::Read)?;
        Ok::<_, ApiError>(commits.iter().rev().map(|commit| view.commit(repo, commit)).collect())
    })?;
    Ok(list.respond(&forge, &items))
}

async fn merge_pull(
    State(forge): State<Forge>,
    at: At,
    Path(Numbered { number }): Path<Numbered>,
    Body(how): Body<Merge>,
) -> Result<Json<Value>, ApiError> {
    let sha = merge::merge(&forge, &at, number, how).await?;
    Ok(Json(json!({"sha": sha, "merged": true, "message": "Pull Request successfully merged"})))
}
