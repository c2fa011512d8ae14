//! `GET /api/v1/projects/{project}`

use axum::response::Response;
use domain::people::ProjectRole;
use http::HeaderMap;
use store::project_deletions;

use super::{
    super::{body::At, etag::tagged},
    Project,
};
use crate::{auth::Caller, problem::Problem};

/// A project
#[utoipa::path(
    get, path = "/api/v1/projects/{project}", tag = "projects",
    params(("project" = String, Path, description = "Its short name.")),
    responses((status = 200, description = "The project.", body = Project))
)]
pub(in crate::api) async fn read_project(
    caller: Caller,
    headers: HeaderMap,
    At(slug): At<String>,
) -> Result<Response, Problem> {
    let project = caller.on_project(&slug, ProjectRole::Read).await?;
    let deletion = project_deletions::find(&mut *caller.store().acquire().await?, project.id).await?;
    Ok(tagged(&headers, &Project::of(project, deletion)))
}
