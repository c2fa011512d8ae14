//! `DELETE /api/v1/me/tokens/{token}`

use domain::{ids::ApiTokenId, sentences};
use http::StatusCode;
use serde_json::json;
use store::{StoreError, api_tokens};

use super::super::body::At;
use crate::{auth::Caller, problem::Problem};

/// Take back one of your tokens for scripts
#[utoipa::path(
    delete, path = "/api/v1/me/tokens/{token}", tag = "me", params(("token" = ApiTokenId, Path, description = "Which.")),
    responses((status = 204, description = "It works no more."))
)]
pub(in crate::api) async fn revoke_token(caller: Caller, At(token): At<ApiTokenId>) -> Result<StatusCode, Problem> {
    let (now, mut tx) = (caller.now(), caller.store().begin().await?);
    if !api_tokens::revoke(&mut tx, caller.person().id, token, now).await? {
        let detail = sentences::token_not_found();
        return Err(Problem::new(StatusCode::NOT_FOUND, "token_not_found", detail));
    }
    caller.audit(&mut tx, "api_token.revoked", json!({"token": token})).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(StatusCode::NO_CONTENT)
}
