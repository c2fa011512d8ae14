//! `DELETE /api/v1/projects/{project}/members/{person}`

use domain::{ids::PersonId, people::ProjectRole, sentences};
use http::StatusCode;
use serde_json::json;
use store::{StoreError, members};

use super::super::body::At;
use crate::{
    auth::{Caller, DoneTo},
    problem::Problem,
};

/// Take somebody out of a project
#[utoipa::path(
    delete, path = "/api/v1/projects/{project}/members/{person}", tag = "projects",
    params(("project" = String, Path, description = "Its short name."), ("person" = PersonId, Path, description = "Who.")),
    responses((status = 204, description = "They are no member any more, at once."))
)]
pub(in crate::api) async fn remove_member(
    caller: Caller,
    At((slug, person)): At<(String, PersonId)>,
) -> Result<StatusCode, Problem> {
    let project = caller.on_project(&slug, ProjectRole::Admin).await?;
    let mut tx = caller.store().begin().await?;
    if !members::remove(&mut tx, project.id, person).await? {
        return Err(Problem::new(StatusCode::NOT_FOUND, "member_not_found", sentences::member_not_found()));
    }
    let detail = json!({"project": project.slug, "person": person});
    caller.audit_about(&mut tx, "member.removed", detail, Some(DoneTo::Project(project.id))).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(StatusCode::NO_CONTENT)
}
