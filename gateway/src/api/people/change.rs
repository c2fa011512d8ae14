//! `PATCH /api/v1/people/{person}`

use axum::response::Response;
use domain::{ids::PersonId, people::PlatformRole, sentences};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;
use store::{StoreError, operator_grants, people, sessions};
use utoipa::ToSchema;

use super::{
    super::{
        body::{At, Sent},
        etag::{tagged, unchanged},
        reasons,
    },
    Person, no_person,
};
use crate::{auth::Caller, problem::Problem};

/// What is to be different. What is left away stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct ChangePerson {
    /// An owner's to give and to take.
    role: Option<PlatformRole>,
    /// Locks them out at once, or lets them in again.
    disabled: Option<bool>,
    /// Why; stands in the audit.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// Change what somebody may do, or lock them out
#[utoipa::path(
    patch, path = "/api/v1/people/{person}", tag = "people", request_body = ChangePerson,
    params(
        ("person" = PersonId, Path, description = "Who."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was seen: another state is refused with 412.")
    ),
    responses((status = 200, description = "The person, changed.", body = Person))
)]
pub(in crate::api) async fn change_person(
    caller: Caller,
    headers: HeaderMap,
    At(id): At<PersonId>,
    Sent(change): Sent<ChangePerson>,
) -> Result<Response, Problem> {
    caller.on_platform(PlatformRole::Admin)?;
    let reason = reasons::optional(change.reason.as_deref())?;
    let (now, mut tx) = (caller.now(), caller.store().begin().await?);
    // The owners first, always: two of them who step down at once wait for each other.
    let owners = people::lock_owners(&mut tx).await?;
    let before = people::lock(&mut tx, id).await?.ok_or_else(no_person)?;
    unchanged(&headers, &Person::get(&mut tx, id).await?)?;
    let role = change.role.unwrap_or(before.role);
    let disabled_at = match change.disabled {
        Some(true) => Some(before.disabled_at.unwrap_or(now)),
        Some(false) => None,
        None => before.disabled_at,
    };
    if role != before.role || (before.role != PlatformRole::None && disabled_at != before.disabled_at) {
        caller.on_platform(PlatformRole::Owner)?;
    }
    if owners == [id] && (role != PlatformRole::Owner || disabled_at.is_some()) {
        let detail = sentences::last_owner();
        return Err(Problem::new(StatusCode::CONFLICT, "last_owner", detail));
    }
    people::set_standing(&mut tx, id, role, disabled_at).await?;
    if disabled_at.is_some() && before.disabled_at.is_none() {
        sessions::revoke_all(&mut tx, id, "locked out", now).await?;
    }
    // Who gets the role back some day does not get the grant back with it.
    let loses_grant = role == PlatformRole::None || disabled_at.is_some();
    if loses_grant && operator_grants::withdraw(&mut tx, id, caller.person().id, now).await? {
        caller.audit(&mut tx, "operator_grant.withdrawn", json!({"person": id, "reason": "with the role"})).await?;
    }
    let disabled = disabled_at.is_some();
    let detail =
        json!({"person": id, "role": role, "role_before": before.role, "disabled": disabled, "reason": reason});
    caller.audit(&mut tx, "person.changed", detail).await?;
    let after = Person::get(&mut tx, id).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(tagged(&HeaderMap::new(), &after))
}
