//! `GET /api/v1/projects`

use std::collections::BTreeMap;

use axum::response::Response;
use domain::ids::ProjectId;
use http::HeaderMap;
use serde::Deserialize;
use store::{
    members::{self, ProjectsPage},
    project_deletions::{self, ProjectDeletion},
};
use utoipa::IntoParams;

use super::{
    super::{body::Asked, etag::tagged, paging, paging::Page},
    Project,
};
use crate::{
    auth::{Caller, OnProject},
    problem::Problem,
};

/// Which part of the list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct ProjectsQuery {
    /// How many entries, 1 to 200; 50 unless asked otherwise.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// The projects that you see, by short name
#[utoipa::path(
    get, path = "/api/v1/projects", tag = "projects", params(ProjectsQuery),
    responses((status = 200, description = "A page of the list.", body = Page<Project>))
)]
pub(in crate::api) async fn list_projects(
    caller: Caller,
    headers: HeaderMap,
    Asked(query): Asked<ProjectsQuery>,
) -> Result<Response, Problem> {
    let limit = paging::limit(query.limit)?;
    let after: Option<String> = paging::after(query.cursor.as_deref())?;
    let page = ProjectsPage {
        person: caller.person().id,
        all: caller.sees_all(),
        after: after.as_deref(),
        limit: paging::fetched(limit),
    };
    let mut conn = caller.store().acquire().await?;
    let rows = members::projects(&mut conn, page).await?;
    let ids: Vec<ProjectId> = rows.iter().map(|project| project.id).collect();
    let mut deletions: BTreeMap<ProjectId, ProjectDeletion> =
        project_deletions::of(&mut conn, &ids).await?.into_iter().map(|row| (row.project, row)).collect();
    let seen = rows.into_iter().filter_map(|project| {
        let role = caller.effective(project.role)?;
        let members::SeenProject { id, slug, slots, created_at, .. } = project;
        Some(OnProject { id, slug, slots, created_at, role })
    });
    let shown = seen.map(|project| {
        let deletion = deletions.remove(&project.id);
        Project::of(project, deletion)
    });
    let page: Page<Project> = paging::page(shown.collect(), limit, |project: &Project| project.slug.clone());
    Ok(tagged(&headers, &page))
}
