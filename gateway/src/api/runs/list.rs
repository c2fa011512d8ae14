//! `GET /api/v1/runs`

use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::{
    ids::{RepositoryId, RunId},
    people::ProjectRole,
    run::{Outcome, RunState},
};
use http::HeaderMap;
use serde::Deserialize;
use store::{
    reads::Freshness,
    runs::{self, Cursor, RunFilter},
};
use utoipa::IntoParams;

use super::{
    super::{body::Asked, etag::tagged, paging, paging::Page},
    shown::{Run, shown},
};
use crate::{auth::Caller, problem::Problem};

/// Which runs. What is left away does not matter.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct RunsQuery {
    /// Short name of the project.
    project: Option<String>,
    repository: Option<RepositoryId>,
    /// Name of the agent.
    agent: Option<String>,
    state: Option<RunState>,
    outcome: Option<Outcome>,
    /// Login of who asked.
    requester: Option<String>,
    /// Accepted at this time or later.
    since: Option<DateTime<Utc>>,
    /// Accepted before this time.
    until: Option<DateTime<Utc>>,
    /// Part of the title of the issue or pull request.
    q: Option<String>,
    /// Number of the issue or pull request.
    number: Option<u32>,
    /// Ended by the failure of this name, as a run tells it.
    failure: Option<String>,
    /// How many entries, 1 to 200; 50 unless asked otherwise.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Runs of the projects that you see, the newest first
#[utoipa::path(
    get, path = "/api/v1/runs", tag = "runs", params(RunsQuery),
    responses((status = 200, description = "A page of the list.", body = Page<Run>))
)]
pub(in crate::api) async fn list_runs(
    caller: Caller,
    headers: HeaderMap,
    Asked(query): Asked<RunsQuery>,
) -> Result<Response, Problem> {
    let limit = paging::limit(query.limit)?;
    let before: Option<(DateTime<Utc>, RunId)> = paging::after(query.cursor.as_deref())?;
    let project = match &query.project {
        Some(slug) => Some(caller.on_project(slug, ProjectRole::Read).await?.id),
        None => None,
    };
    let filter = RunFilter {
        project,
        repository: query.repository,
        subject_number: query.number.map(i64::from),
        state: query.state,
        outcome: query.outcome,
        agent: query.agent.as_deref(),
        seen_by: (!caller.sees_all()).then_some(caller.person().id),
        requester: query.requester.as_deref(),
        since: query.since,
        until: query.until,
        failure: query.failure.as_deref(),
        text: query.q.as_deref().map(str::trim).filter(|text| !text.is_empty()),
    };
    let page = runs::Page {
        before: before.map(|(created_at, id)| Cursor { created_at, id }),
        limit: u32::try_from(paging::fetched(limit)).unwrap_or(u32::MAX),
    };
    let mut conn = caller.store().read(Freshness::Tolerant).await?;
    let rows = runs::list(&mut conn, filter, page).await?;
    let (rows, next) = paging::cut(rows, limit, |run| (run.created_at, run.id));
    Ok(tagged(&headers, &Page { items: shown(&caller, &mut conn, &rows).await?, next }))
}
