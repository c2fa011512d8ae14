//! `POST /api/v1/projects/{project}/members`

use axum::Json;
use domain::{
    people::{Email, ProjectRole},
    sentences,
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use store::{StoreError, members, people};
use utoipa::ToSchema;

use super::{
    super::body::{At, Sent},
    Member,
};
use crate::{
    auth::{Caller, DoneTo},
    problem::Problem,
};

/// Somebody and their role.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct NewMember {
    /// Their address, as it is on the list of people.
    email: Email,
    role: ProjectRole,
}

/// Give somebody a role in a project, or another one than before
///
/// Doing it twice changes nothing more, so it takes no `Idempotency-Key`.
#[utoipa::path(
    post, path = "/api/v1/projects/{project}/members", tag = "projects", request_body = NewMember,
    params(("project" = String, Path, description = "Its short name.")),
    responses((status = 200, description = "The member.", body = Member))
)]
pub(in crate::api) async fn put_member(
    caller: Caller,
    At(slug): At<String>,
    Sent(new): Sent<NewMember>,
) -> Result<Json<Member>, Problem> {
    let project = caller.on_project(&slug, ProjectRole::Admin).await?;
    let (now, mut tx) = (caller.now(), caller.store().begin().await?);
    let unlisted = || {
        let detail = sentences::person_not_listed(&new.email);
        Problem::new(StatusCode::CONFLICT, "person_not_listed", detail)
    };
    let person = people::lock_by_email(&mut tx, &new.email).await?.ok_or_else(unlisted)?;
    let before = members::role(&mut tx, project.id, person.id).await?;
    members::put(&mut tx, project.id, person.id, new.role, now).await?;
    let detail = json!({"project": project.slug, "person": person.id, "role": new.role, "role_before": before});
    caller.audit_about(&mut tx, "member.set", detail, Some(DoneTo::Project(project.id))).await?;
    let member = members::one(&mut tx, project.id, person.id).await?.ok_or_else(unlisted)?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(Json(member.into()))
}
