//! `GET /api/v1/projects/{project}/members`

use axum::response::Response;
use domain::people::ProjectRole;
use http::HeaderMap;
use serde::Deserialize;
use store::members;
use utoipa::IntoParams;

use super::{
    super::{
        body::{Asked, At},
        etag::tagged,
        paging,
        paging::Page,
    },
    Member,
};
use crate::{auth::Caller, problem::Problem};

/// Which part of the list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct MembersQuery {
    /// How many entries, 1 to 200; 50 unless asked otherwise.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// The members of a project, by address
#[utoipa::path(
    get, path = "/api/v1/projects/{project}/members", tag = "projects",
    params(("project" = String, Path, description = "Its short name."), MembersQuery),
    responses((status = 200, description = "A page of the list.", body = Page<Member>))
)]
pub(in crate::api) async fn list_members(
    caller: Caller,
    headers: HeaderMap,
    At(slug): At<String>,
    Asked(query): Asked<MembersQuery>,
) -> Result<Response, Problem> {
    let project = caller.on_project(&slug, ProjectRole::Read).await?;
    let limit = paging::limit(query.limit)?;
    let after: Option<String> = paging::after(query.cursor.as_deref())?;
    let mut conn = caller.store().acquire().await?;
    let rows = members::list(&mut conn, project.id, after.as_deref(), paging::fetched(limit)).await?;
    let page: Page<Member> = paging::page(rows, limit, |member| member.email.as_str().to_owned());
    Ok(tagged(&headers, &page))
}
