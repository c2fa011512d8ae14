//! `POST /api/v1/projects/{project}/repositories`

use axum::response::Response;
use domain::{people::ProjectRole, sentences};
use forge::Credential;
use http::{HeaderMap, StatusCode};
use role::SecretText;
use serde::Deserialize;
use serde_json::json;
use store::repositories;
use utoipa::ToSchema;

use super::{
    super::{
        body::{At, Sent},
        idempotency::{Begun, Wish},
    },
    BegunConnection, asking, begun, refused, sealing,
};
use crate::{
    auth::{Caller, DoneTo},
    connecting::ConnectRequest,
    problem::Problem,
};

/// A repository to be attached.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct AttachRepository {
    /// `owner/name`
    #[schema(example = "acme/greeter")]
    repository: String,
    /// A fine-grained personal access token for it. It is sealed for the worker at once and never shown again.
    #[schema(value_type = String, format = Password)]
    token: String,
}

/// Attach a repository: look at every right of the credential at once, make the webhook, read its settings
///
/// One that is attached already gets the new credential.
#[utoipa::path(
    post, path = "/api/v1/projects/{project}/repositories", tag = "repositories", request_body = AttachRepository,
    params(
        ("project" = String, Path, description = "Short name of its project."),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is done once.")
    ),
    responses((status = 202, description = "It has begun: read the connection.", body = BegunConnection))
)]
pub(in crate::api) async fn attach_repository(
    caller: Caller,
    headers: HeaderMap,
    At(slug): At<String>,
    Sent(AttachRepository { repository, token }): Sent<AttachRepository>,
) -> Result<Response, Problem> {
    let wish = Wish::read(&headers, &format!("attach_repository {slug}"), &(&repository, &token))?;
    let token = SecretText::new(token);
    let project = caller.on_project(&slug, ProjectRole::Admin).await?;
    let (owner, name) = named(&repository)?;
    let credential = Credential::token(token.expose())
        .map_err(|_| Problem::bad_request("token_invalid", sentences::forge_token_invalid()))?;
    let (keys, public_url) = sealing(&caller)?;
    let mut writing = match wish.begin(&caller).await? {
        Begun::Answered(answer) => return Ok(answer),
        Begun::New(writing) => writing,
    };
    let conn = writing.conn();
    let known = repositories::find_by_name(conn, owner, name).await?;
    if known.is_some_and(|known| known.project != project.id) {
        let detail = sentences::attached_elsewhere();
        return Err(Problem::new(StatusCode::CONFLICT, "attached_elsewhere", detail));
    }
    let request = ConnectRequest {
        owner,
        name,
        project: &project.slug,
        slots: project.slots,
        credential: &credential,
        public_url,
    };
    let mut rng = rand::make_rng();
    let connection = asking(&caller, &mut rng).connect(conn, &keys, &request).await.map_err(refused)?;
    let detail = json!({"repository": repository, "project": project.slug, "connection": connection});
    caller.audit_about(conn, "repository.attaching", detail, Some(DoneTo::Project(project.id))).await?;
    begun(&caller, writing, connection).await
}

/// Owner and name, as GitHub allows them.
fn named(full_name: &str) -> Result<(&str, &str), Problem> {
    let part = |text: &str| {
        (1..=100).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    full_name
        .split_once('/')
        .filter(|(owner, name)| part(owner) && part(name))
        .ok_or_else(|| Problem::bad_request("repository_invalid", sentences::repository_name_invalid()))
}
