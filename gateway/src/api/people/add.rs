//! `POST /api/v1/people`

use axum::response::Response;
use domain::{
    people::{Email, PlatformRole},
    sentences,
};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{StoreError, people};
use utoipa::ToSchema;

use super::{
    super::{body::Sent, idempotency::Wish},
    Person,
};
use crate::{auth::Caller, problem::Problem};

/// Somebody to be put on the list.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct NewPerson {
    /// Their primary address on GitHub.
    email: Email,
    /// Roles other than `none` are an owner's to give.
    #[serde(default = "nothing")]
    role: PlatformRole,
}

fn nothing() -> PlatformRole {
    PlatformRole::None
}

/// Let somebody sign in
#[utoipa::path(
    post, path = "/api/v1/people", tag = "people", request_body = NewPerson,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is done once.")),
    responses((status = 201, description = "They may sign in.", body = Person))
)]
pub(in crate::api) async fn add_person(
    caller: Caller,
    headers: HeaderMap,
    Sent(new): Sent<NewPerson>,
) -> Result<Response, Problem> {
    caller.on_platform(if new.role == PlatformRole::None { PlatformRole::Admin } else { PlatformRole::Owner })?;
    let wish = Wish::read(&headers, "add_person", &new)?;
    let mut tx = caller.store().begin().await?;
    if let Some(answer) = wish.earlier(&caller, &mut tx).await? {
        return Ok(answer);
    }
    let Some(id) = people::add(&mut tx, &new.email, new.role, caller.now()).await? else {
        let detail = sentences::person_exists(&new.email);
        return Err(Problem::new(StatusCode::CONFLICT, "person_exists", detail));
    };
    let person = Person::get(&mut tx, id).await?;
    caller.audit(&mut tx, "person.added", json!({"person": id, "email": new.email, "role": new.role})).await?;
    let answer = wish.answer(&caller, &mut tx, StatusCode::CREATED, &person).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(answer)
}
