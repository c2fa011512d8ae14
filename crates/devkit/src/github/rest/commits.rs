//! Commits, comparisons, branches and commit statuses.

use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Body, Listing, created, text, wants};
use crate::github::{
    access::{At, Need},
    error::ApiError,
    forge::Forge,
    ops::statuses::{self, NewStatus},
    state::Repo,
};

/// GitHub compares no more commits than these in one answer.
const MAX_COMMITS: usize = 250;
/// The list of commits is cut here; nothing of ours reads further back.
const MAX_HISTORY: usize = 1_000;

pub(super) fn router() -> Router<Forge> {
    Router::new()
        .route("/repos/{owner}/{repo}/branches", get(branches))
        .route("/repos/{owner}/{repo}/branches/{*name}", get(branch))
        .route("/repos/{owner}/{repo}/commits", get(history))
        .route("/repos/{owner}/{repo}/commits/{*name}", get(of_commit))
        .route("/repos/{owner}/{repo}/compare/{*name}", get(compare))
        .route("/repos/{owner}/{repo}/statuses/{name}", post(create_status))
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

fn visible(forge: &Forge, at: &At) -> Result<Repo, ApiError> {
    forge.read(|view| view.repo(at, Need::Read).cloned())
}

fn no_commit(name: &str) -> ApiError {
    ApiError::unprocessable(format!("No commit found for SHA: {name}"))
}

async fn branches(State(forge): State<Forge>, at: At, list: Listing) -> Result<Response, ApiError> {
    let repo = visible(&forge, &at)?;
    let refs = forge.git.refs(repo.id).await?;
    let heads = refs.iter().filter_map(|(name, sha)| Some((name.strip_prefix("refs/heads/")?, sha)));
    let items: Vec<Value> = forge.read(|view| heads.map(|(name, sha)| view.branch(&repo, name, sha)).collect());
    Ok(list.respond(&forge, &items))
}

async fn branch(
    State(forge): State<Forge>,
    at: At,
    Path(Named { name }): Path<Named>,
) -> Result<Json<Value>, ApiError> {
    let repo = visible(&forge, &at)?;
    let sha = forge.git.ref_sha(repo.id, &format!("refs/heads/{name}")).await?.ok_or(ApiError::NotFound)?;
    let commit = forge.git.commit_of(repo.id, &sha).await?;
    let value = forge.read(|view| {
        let links = view.links(&repo);
        let api = format!("{}/branches/{name}", links.api);
        let mut value = view.branch(&repo, &name, &sha);
        value["commit"] = view.commit(&repo, &commit);
        value["_links"] = json!({"self": api, "html": format!("{}/tree/{name}", links.html)});
        value["protection"] = json!({
            "enabled": false,
            "required_status_checks": {"enforcement_level": "off", "contexts": [], "checks": []},
        });
        value["protection_url"] = format!("{api}/protection").into();
        value
    });
    Ok(Json(value))
}

async fn history(State(forge): State<Forge>, at: At, list: Listing) -> Result<Response, ApiError> {
    let repo = visible(&forge, &at)?;
    let start = list.get("sha").unwrap_or(&repo.default_branch);
    let sha = forge.git.resolve(repo.id, start).await?;
    let commits = forge.git.log(repo.id, &[&sha], MAX_HISTORY).await?;
    let items: Vec<Value> = forge.read(|view| commits.iter().map(|commit| view.commit(&repo, commit)).collect());
    Ok(list.respond(&forge, &items))
}

/// `commits/{ref}`, `commits/{ref}/status`, `commits/{ref}/statuses` and `commits/{ref}/check-runs`: a ref may have slashes of its own.
async fn of_commit(
    State(forge): State<Forge>,
    at: At,
    Path(Named { name }): Path<Named>,
    headers: HeaderMap,
    list: Listing,
) -> Result<Response, ApiError> {
    let repo = visible(&forge, &at)?;
    if let Some(name) = name.strip_suffix("/status") {
        return combined(&forge, &repo, name).await;
    }
    if let Some(name) = name.strip_suffix("/statuses") {
        let sha = forge.git.resolve(repo.id, name).await.map_err(|_| no_commit(name))?;
        let found = repo.statuses.iter().rev().filter(|status| status.sha == sha);
        let items: Vec<Value> = forge.read(|view| found.map(|status| view.status(&repo, status)).collect());
        return Ok(list.respond(&forge, &items));
    }
    if let Some(name) = name.strip_suffix("/check-runs") {
        let sha = forge.git.resolve(repo.id, name).await.map_err(|_| no_commit(name))?;
        return Ok(super::checks::of_commit(&forge, &repo, &sha, &list));
    }
    let sha = forge.git.resolve(repo.id, &name).await.map_err(|_| no_commit(&name))?;
    if wants(&headers, "sha") {
        return Ok(text("sha", sha.into_bytes()));
    }
    let commit = forge.git.commit_of(repo.id, &sha).await?;
    let empty_tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
    let from = commit.parents.first().map_or(empty_tree, String::as_str);
    if wants(&headers, "diff") {
        return Ok(text("diff", forge.git.diff_text(repo.id, from, &sha).await?));
    }
    let files = forge.git.diff_files(repo.id, from, &sha).await?;
    let value = forge.read(|view| {
        let mut value = view.commit(&repo, &commit);
        let additions: u64 = files.iter().map(|file| file.additions).sum();
        let deletions: u64 = files.iter().map(|file| file.deletions).sum();
        value["stats"] = json!({"additions": additions, "deletions": deletions, "total": additions + deletions});
        value["files"] = files.iter().map(|file| view.file(&repo, &sha, file)).collect();
        value
    });
    Ok(Json(value).into_response())
}

async fn combined(forge: &Forge, repo: &Repo, name: &str) -> Result<Response, ApiError> {
    let sha = forge.git.resolve(repo.id, name).await.map_err(|_| no_commit(name))?;
    let newest = statuses::newest(repo, &sha);
    let value = forge.read(|view| {
        let api = format!("{}/commits/{sha}", view.links(repo).api);
        let shown: Vec<Value> = newest.iter().map(|status| view.simple_status(repo, status)).collect();
        json!({
            "state": statuses::combined(&newest), "sha": sha, "total_count": newest.len(),
            "statuses": shown, "repository": view.repository(repo), "commit_url": api,
            "url": format!("{api}/status"),
        })
    });
    Ok(Json(value).into_response())
}

async fn compare(
    State(forge): State<Forge>,
    at: At,
    Path(Named { name }): Path<Named>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let repo = visible(&forge, &at)?;
    let (base, head) = name.split_once("...").ok_or(ApiError::NotFound)?;
    let git = &forge.git;
    let (base, head) = (git.resolve(repo.id, base).await?, git.resolve(repo.id, head).await?);
    let start = git.merge_base(repo.id, &base, &head).await?;
    if wants(&headers, "diff") {
        return Ok(text("diff", git.diff_text(repo.id, &start, &head).await?));
    }
    let comparison = git.comparison(repo.id, &base, &head).await?;
    let commits = git.log(repo.id, &[&head, &format!("^{base}")], MAX_COMMITS).await?;
    let (base_commit, start) = (git.commit_of(repo.id, &base).await?, git.commit_of(repo.id, &start).await?);
    let files = git.diff_files(repo.id, &start.sha, &head).await?;
    let value = forge.read(|view| {
        let links = view.links(&repo);
        let html = format!("{}/compare/{name}", links.html);
        let commits: Vec<Value> = commits.iter().rev().map(|commit| view.commit(&repo, commit)).collect();
        let files: Vec<Value> = files.iter().map(|file| view.file(&repo, &head, file)).collect();
        json!({
            "url": format!("{}/compare/{name}", links.api), "html_url": html,
            "permalink_url": format!("{}/compare/{base}...{head}", links.html),
            "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch"),
            "base_commit": view.commit(&repo, &base_commit),
            "merge_base_commit": view.commit(&repo, &start), "status": comparison.status(),
            "ahead_by": comparison.ahead, "behind_by": comparison.behind,
            "total_commits": comparison.ahead, "commits": commits, "files": files,
        })
    });
    Ok(Json(value).into_response())
}

async fn create_status(
    State(forge): State<Forge>,
    at: At,
    Path(Named { name }): Path<Named>,
    Body(new): Body<NewStatus>,
) -> Result<Response, ApiError> {
    let status = statuses::create(&forge, &at, &name, new).await?;
    forge.read(|view| Ok(created(view.status(view.repo(&at, Need::Read)?, &status))))
}
