//! `POST /api/v1/people/{person}/operator-grant`

use axum::Json;
use domain::{ids::PersonId, people::PlatformRole, sentences};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use store::{
    StoreError,
    operator_grants::{self, NewGrant},
    people,
};
use utoipa::ToSchema;

use super::{
    super::{
        body::{At, Sent},
        reasons,
    },
    Person, no_person,
};
use crate::{auth::Caller, problem::Problem};

/// Why somebody is to have it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct GiveGrant {
    /// Stands in the audit and on the page of people.
    #[schema(max_length = 500)]
    reason: String,
}

/// Let an owner or admin change things in the engine's own UI
///
/// Looking there needs no grant. Giving it twice changes nothing more, so it takes no `Idempotency-Key`.
#[utoipa::path(
    post, path = "/api/v1/people/{person}/operator-grant", tag = "people", request_body = GiveGrant,
    params(("person" = PersonId, Path, description = "Who.")),
    responses((status = 200, description = "They hold it.", body = Person))
)]
pub(in crate::api) async fn give_operator_grant(
    caller: Caller,
    At(id): At<PersonId>,
    Sent(given): Sent<GiveGrant>,
) -> Result<Json<Person>, Problem> {
    caller.on_platform(PlatformRole::Owner)?;
    let reason = reasons::needed(&given.reason)?;
    let mut tx = caller.store().begin().await?;
    let person = people::lock(&mut tx, id).await?.ok_or_else(no_person)?;
    if !person.role.includes(PlatformRole::Admin) || person.disabled_at.is_some() {
        let detail = sentences::grant_for_admins();
        return Err(Problem::new(StatusCode::CONFLICT, "person_no_admin", detail));
    }
    let new = NewGrant { person: id, reason, by: caller.person().id, now: caller.now() };
    if operator_grants::give(&mut tx, new).await? {
        caller.audit(&mut tx, "operator_grant.given", json!({"person": id, "reason": reason})).await?;
    }
    let person = Person::get(&mut tx, id).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(Json(person))
}
