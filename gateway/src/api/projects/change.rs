//! `PATCH /api/v1/projects/{project}`

use axum::response::Response;
use domain::{people::ProjectRole, sentences};
use http::HeaderMap;
use ingest::slot_grants;
use serde::Deserialize;
use serde_json::json;
use store::{StoreError, repositories, slots};
use utoipa::ToSchema;

use super::{
    super::{
        body::{At, Sent},
        etag::{tagged, unchanged},
        reasons,
    },
    Project,
};
use crate::{
    auth::{Caller, DoneTo, OnProject},
    problem::Problem,
};

/// Most slots of a project.
pub(super) const MAX_SLOTS: u32 = 1000;

/// What is to be different. What is left away stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct ChangeProject {
    /// How many of its runs may work at once. With more, those that wait go on at once; with fewer, nobody is stopped.
    #[schema(maximum = 1000)]
    slots: Option<u32>,
    /// Why; stands in the audit.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// Change a project
#[utoipa::path(
    patch, path = "/api/v1/projects/{project}", tag = "projects", request_body = ChangeProject,
    params(
        ("project" = String, Path, description = "Its short name."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was seen: another state is refused with 412.")
    ),
    responses((status = 200, description = "The project, changed.", body = Project))
)]
pub(in crate::api) async fn change_project(
    caller: Caller,
    headers: HeaderMap,
    At(slug): At<String>,
    Sent(change): Sent<ChangeProject>,
) -> Result<Response, Problem> {
    let project = caller.on_project(&slug, ProjectRole::Admin).await?;
    let reason = reasons::optional(change.reason.as_deref())?;
    if change.slots.is_some_and(|slots| slots > MAX_SLOTS) {
        return Err(Problem::bad_request("slots_invalid", sentences::slots_invalid(MAX_SLOTS)));
    }
    let mut tx = caller.store().begin().await?;
    let before = slots::lock(&mut tx, project.id).await?;
    let seen = OnProject { slots: before, ..project };
    unchanged(&headers, &Project::of(seen.clone(), None))?;
    let slots = change.slots.unwrap_or(before);
    repositories::set_slots(&mut tx, seen.id, slots).await?;
    let grants = slots::grant_waiting(&mut tx, seen.id, caller.now()).await?;
    let woken = slot_grants::signal(&mut tx, grants, (caller.app().instance(), caller.now())).await?;
    let detail = json!({"project": seen.id, "slots": slots, "slots_before": before, "reason": reason});
    caller.audit_about(&mut tx, "project.changed", detail, Some(DoneTo::Project(seen.id))).await?;
    tx.commit().await.map_err(StoreError::from)?;
    for workflow in woken {
        caller.app().dispatcher().spawn(workflow);
    }
    Ok(tagged(&HeaderMap::new(), &Project::of(OnProject { slots, ..seen }, None)))
}
