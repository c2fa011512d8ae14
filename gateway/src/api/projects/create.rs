//! `POST /api/v1/projects`

use axum::response::Response;
use domain::{
    people::{PlatformRole, ProjectRole},
    sentences,
};
use http::{HeaderMap, StatusCode};
use ingest::by_hand::Followed;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::repositories::{self, NewProject};
use utoipa::ToSchema;

use super::{
    super::{
        body::Sent,
        idempotency::{Begun, Wish},
    },
    Project,
    change::MAX_SLOTS,
};
use crate::{
    auth::{Caller, DoneTo, OnProject},
    connecting::DEFAULT_SLOTS,
    problem::Problem,
};

/// Longest short name.
const MAX_SLUG: usize = 40;

/// A project to be made.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct CreateProject {
    /// Its short name: 1 to 40 of a-z, 0-9 and `-`, which does not stand at either end. It is never free again.
    #[schema(max_length = 40, example = "greeter")]
    slug: String,
    /// How many of its runs may work at once; 3 unless said otherwise.
    #[schema(maximum = 1000)]
    slots: Option<u32>,
}

/// Make a project, for those who run the platform; attach repositories to it and make people its members
#[utoipa::path(
    post, path = "/api/v1/projects", tag = "projects", request_body = CreateProject,
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is done once.")
    ),
    responses((status = 201, description = "The project.", body = Project))
)]
pub(in crate::api) async fn create_project(
    caller: Caller,
    headers: HeaderMap,
    Sent(wanted): Sent<CreateProject>,
) -> Result<Response, Problem> {
    caller.on_platform(PlatformRole::Admin)?;
    if !is_slug(&wanted.slug) {
        let detail = sentences::project_name_invalid();
        return Err(Problem::bad_request("slug_invalid", detail));
    }
    let slots = wanted.slots.unwrap_or(DEFAULT_SLOTS);
    if slots > MAX_SLOTS {
        return Err(Problem::bad_request("slots_invalid", sentences::slots_invalid(MAX_SLOTS)));
    }
    let wish = Wish::read(&headers, "create_project", &wanted)?;
    let mut writing = match wish.begin(&caller).await? {
        Begun::Answered(answer) => return Ok(answer),
        Begun::New(writing) => writing,
    };
    let conn = writing.conn();
    if repositories::has_project(conn, &wanted.slug).await? {
        let detail = sentences::project_exists(&wanted.slug);
        return Err(Problem::new(StatusCode::CONFLICT, "project_exists", detail));
    }
    let now = caller.now();
    let id =
        repositories::insert_project(conn, NewProject { slug: &wanted.slug, slots, settings: json!({}), now }).await?;
    let detail = json!({"project": id, "name": wanted.slug, "slots": slots});
    caller.audit_about(conn, "project.made", detail, Some(DoneTo::Project(id))).await?;
    let made = OnProject { id, slug: wanted.slug, slots, created_at: now, role: ProjectRole::Admin };
    writing.answer(&caller, StatusCode::CREATED, &Project::of(made, None), None::<Followed>).await
}

fn is_slug(text: &str) -> bool {
    let letter = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    (1..=MAX_SLUG).contains(&bytes.len())
        && bytes.iter().all(|byte| letter(byte) || *byte == b'-')
        && bytes.first().is_some_and(letter)
        && bytes.last().is_some_and(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_fits_into_addresses_and_names_of_namespaces() {
        for good in ["a", "greeter", "team-7", &"x".repeat(40)] {
            assert!(is_slug(good), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a b", "a/b", "ä", &"x".repeat(41)] {
            assert!(!is_slug(bad), "{bad}");
        }
    }
}
