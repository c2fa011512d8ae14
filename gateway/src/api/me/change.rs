//! `PATCH /api/v1/me`

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use domain::{
    people::{Language, Theme},
    sentences,
};
use serde::{Deserialize, Deserializer};
use store::{StoreError, people};
use utoipa::ToSchema;

use super::{
    super::body::Sent,
    read::{Me, shown},
};
use crate::{auth::Caller, problem::Problem};

/// What the caller wants to see. What is left away stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct ChangeMe {
    /// `null`: as the browser asks for it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Language>)]
    language: Option<Option<Language>>,
    theme: Option<Theme>,
}

/// Tells `null` from nothing.
fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<Language>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// Choose language and look of the console
#[utoipa::path(
    patch, path = "/api/v1/me", tag = "me", request_body = ChangeMe,
    responses((status = 200, description = "The caller, changed.", body = Me))
)]
pub(in crate::api) async fn change_me(caller: Caller, Sent(change): Sent<ChangeMe>) -> Result<Response, Problem> {
    let mut tx = caller.store().begin().await?;
    let missing = || Problem::unauthorised("session_over", sentences::no_longer_listed());
    let now = people::lock(&mut tx, caller.person().id).await?.ok_or_else(missing)?;
    let language = change.language.unwrap_or(now.language);
    let theme = change.theme.unwrap_or(now.theme);
    people::set_preferences(&mut tx, now.id, language, theme).await?;
    tx.commit().await.map_err(StoreError::from)?;
    let me = Me { language, theme, ..shown(&caller).await? };
    Ok(Json(me).into_response())
}
