//! `DELETE /api/v1/me/sessions/{session}`

use domain::{ids::SessionId, sentences};
use http::StatusCode;
use serde_json::json;
use store::{StoreError, sessions};

use super::super::body::At;
use crate::{auth::Caller, problem::Problem};

/// End one of your sign-ins
#[utoipa::path(
    delete, path = "/api/v1/me/sessions/{session}", tag = "me", params(("session" = SessionId, Path, description = "Which.")),
    responses((status = 204, description = "It is over, at once."))
)]
pub(in crate::api) async fn revoke_session(caller: Caller, At(session): At<SessionId>) -> Result<StatusCode, Problem> {
    caller.in_person()?;
    let (now, mut tx) = (caller.now(), caller.store().begin().await?);
    if !sessions::revoke_own(&mut tx, (caller.person().id, session), "ended by its person", now).await? {
        let detail = sentences::session_not_found();
        return Err(Problem::new(StatusCode::NOT_FOUND, "session_not_found", detail));
    }
    caller.audit(&mut tx, "session.revoked", json!({"session": session})).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(StatusCode::NO_CONTENT)
}
