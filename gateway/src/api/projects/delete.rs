//! `POST /api/v1/projects/{project}/delete`

use axum::response::Response;
use domain::{people::ProjectRole, sentences};
use http::{HeaderMap, StatusCode};
use ingest::{by_hand::Followed, deletions};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::project_deletions::{self, NewDeletion};
use utoipa::ToSchema;

use super::{
    super::{
        body::{At, Sent},
        idempotency::{Begun, Wish},
        reasons,
        runs::account,
    },
    Project,
};
use crate::{
    auth::{Caller, DoneTo},
    problem::Problem,
};

/// A project to be deleted.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct DeleteProject {
    /// Its short name once more: nobody deletes a project by a slip.
    name: String,
    /// Stands in the audit, and in the comments of the runs that are cancelled.
    #[schema(max_length = 500)]
    reason: String,
}

/// Delete a project: its runs are cancelled, its repositories detached with their webhooks and credentials, its place in the cluster goes
///
/// Export it first. There is no way back. Its runs and its audit stay readable for those who run the platform; its name is not free again.
#[utoipa::path(
    post, path = "/api/v1/projects/{project}/delete", tag = "projects", request_body = DeleteProject,
    params(
        ("project" = String, Path, description = "Its short name."),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is done once.")
    ),
    responses((status = 202, description = "It has begun: read the project.", body = Project))
)]
pub(in crate::api) async fn delete_project(
    caller: Caller,
    headers: HeaderMap,
    At(slug): At<String>,
    Sent(wanted): Sent<DeleteProject>,
) -> Result<Response, Problem> {
    let wish = Wish::read(&headers, &format!("delete_project {slug}"), &wanted)?;
    // Who sent this before finds it deleted, and is to get the answer of then: so what is not allowed now is said after that. It is looked at
    // before, while nothing of the database is held.
    caller.on_project(&slug, ProjectRole::Read).await?;
    let project = caller.on_project(&slug, ProjectRole::Admin).await;
    let mut writing = match wish.begin(&caller).await? {
        Begun::Answered(answer) => return Ok(answer),
        Begun::New(writing) => writing,
    };
    let project = project?;
    let by = account(&caller)?;
    let reason = reasons::needed(&wanted.reason)?;
    if wanted.name != project.slug {
        return Err(Problem::bad_request("name_differs", sentences::project_name_differs()));
    }
    let conn = writing.conn();
    let new = NewDeletion { project: project.id, asked_by: &by, reason, now: caller.now() };
    let begun = deletions::begin(conn, caller.app().instance(), new).await?;
    let workflow = begun
        .ok_or_else(|| Problem::new(StatusCode::CONFLICT, "project_deleted", sentences::project_deletes_already()))?;
    let detail = json!({"project": project.id, "name": project.slug, "reason": reason});
    caller.audit_about(conn, "project.deleting", detail, Some(DoneTo::Project(project.id))).await?;
    let deletion = project_deletions::find(conn, project.id).await?;
    let response =
        writing.answer(&caller, StatusCode::ACCEPTED, &Project::of(project, deletion), None::<Followed>).await?;
    caller.app().dispatcher().spawn(workflow);
    Ok(response)
}
