//! Check runs, what they say about lines, and the logs of workflows' jobs.

use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Listing;
use crate::github::{
    access::{At, Need},
    error::ApiError,
    forge::Forge,
    state::{CheckRun, Repo},
};

/// Where logs lie: not among the addresses of the interface.
const LOGS: &str = "/_standin/logs";

pub(super) fn router() -> Router<Forge> {
    Router::new()
        .route("/repos/{owner}/{repo}/check-runs/{id}/annotations", get(annotations))
        .route("/repos/{owner}/{repo}/actions/jobs/{id}/logs", get(log_address))
        .route(&format!("{LOGS}/{{id}}"), get(log))
}

#[derive(Deserialize)]
struct Numbered {
    id: u64,
}

/// The check runs of a commit; of each name the newest.
pub(super) fn of_commit(forge: &Forge, repo: &Repo, sha: &str, list: &Listing) -> Response {
    let mut newest: Vec<&CheckRun> = Vec::new();
    for run in repo.check_runs.iter().rev().filter(|run| run.sha == sha) {
        if newest.iter().all(|known| known.name != run.name) {
            newest.push(run);
        }
    }
    let window = list.window(newest.len());
    let shown: Vec<Value> = forge.read(|view| newest[window].iter().map(|run| view.check_run(repo, run)).collect());
    axum::Json(json!({ "total_count": newest.len(), "check_runs": shown })).into_response()
}

fn found(forge: &Forge, at: &At, id: u64) -> Result<(Repo, CheckRun), ApiError> {
    let repo = forge.read(|view| view.repo(at, Need::Read).cloned())?;
    let run = repo.check_runs.iter().find(|run| run.id == id).cloned();
    Ok((repo, run.ok_or(ApiError::NotFound)?))
}

async fn annotations(
    State(forge): State<Forge>,
    at: At,
    Path(Numbered { id }): Path<Numbered>,
    list: Listing,
) -> Result<Response, ApiError> {
    let (repo, run) = found(&forge, &at, id)?;
    let items: Vec<Value> = forge.read(|view| {
        let html = view.links(&repo).html;
        let shown = |(path, line, message): &(String, u64, String)| {
            json!({
                "path": path, "start_line": line, "end_line": line, "start_column": null, "end_column": null,
                "annotation_level": "failure", "title": null, "message": message, "raw_details": null,
                "blob_href": format!("{html}/blob/{}/{path}", run.sha),
            })
        };
        run.annotations.iter().map(shown).collect()
    });
    Ok(list.respond(&forge, &items))
}

/// GitHub keeps logs with somebody else, and answers with an address that is good for a minute.
async fn log_address(
    State(forge): State<Forge>,
    at: At,
    Path(Numbered { id }): Path<Numbered>,
) -> Result<Response, ApiError> {
    let (_, run) = found(&forge, &at, id)?;
    run.log.as_ref().ok_or(ApiError::NotFound)?;
    let base = forge.read(|view| view.base.replace("127.0.0.1", "localhost"));
    Ok((StatusCode::FOUND, [(header::LOCATION, format!("{base}{LOGS}/{id}"))]).into_response())
}

/// The log itself. Whose address is a key refuses any other, as the storage behind GitHub does.
async fn log(State(forge): State<Forge>, Path(Numbered { id }): Path<Numbered>, headers: HeaderMap) -> Response {
    if headers.contains_key(header::AUTHORIZATION) {
        return (StatusCode::BAD_REQUEST, "InvalidAuthenticationInfo").into_response();
    }
    let log = forge.read(|view| {
        let mut runs = view.model.repos.values().flat_map(|repo| &repo.check_runs);
        runs.find(|run| run.id == id).and_then(|run| run.log.clone())
    });
    log.map_or_else(|| StatusCode::NOT_FOUND.into_response(), IntoResponse::into_response)
}
