//! `POST /api/v1/people/{person}/operator-grant/withdraw`

use axum::Json;
use domain::{ids::PersonId, people::PlatformRole, sentences};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use store::{StoreError, operator_grants, people};
use utoipa::ToSchema;

use super::{
    super::{
        body::{At, Sent},
        reasons,
    },
    Person, no_person,
};
use crate::{auth::Caller, problem::Problem};

/// Why somebody is to have it no more.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct WithdrawGrant {
    /// Stands in the audit.
    #[schema(max_length = 500)]
    reason: String,
}

/// Let somebody change nothing more in the engine's own UI
#[utoipa::path(
    post, path = "/api/v1/people/{person}/operator-grant/withdraw", tag = "people", request_body = WithdrawGrant,
    params(("person" = PersonId, Path, description = "Who.")),
    responses((status = 200, description = "They hold it no more, at once.", body = Person))
)]
pub(in crate::api) async fn withdraw_operator_grant(
    caller: Caller,
    At(id): At<PersonId>,
    Sent(why): Sent<WithdrawGrant>,
) -> Result<Json<Person>, Problem> {
    caller.on_platform(PlatformRole::Owner)?;
    let reason = reasons::needed(&why.reason)?;
    let mut tx = caller.store().begin().await?;
    people::lock(&mut tx, id).await?.ok_or_else(no_person)?;
    if !operator_grants::withdraw(&mut tx, id, caller.person().id, caller.now()).await? {
        return Err(Problem::new(StatusCode::CONFLICT, "operator_grant_not_held", sentences::grant_not_held()));
    }
    caller.audit(&mut tx, "operator_grant.withdrawn", json!({"person": id, "reason": reason})).await?;
    let person = Person::get(&mut tx, id).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(Json(person))
}
