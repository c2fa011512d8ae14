//! `POST /api/v1/pauses/{pause}/end`

use axum::response::Response;
use domain::{ids::PauseId, sentences};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::pauses;
use utoipa::ToSchema;

use super::{
    super::{
        body::{At, Sent},
        idempotency::{Begun, Wish},
        reasons,
    },
    Pause, may_pause, no_pause,
};
use crate::{
    auth::{Caller, DoneTo},
    problem::Problem,
};

/// Why a pause is over.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct EndPause {
    /// Stands in the audit.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// End a pause
///
/// What it held back stays where it is: replay the deliveries with the verdict `paused` that are still wanted.
#[utoipa::path(
    post, path = "/api/v1/pauses/{pause}/end", tag = "pauses", request_body = EndPause,
    params(
        ("pause" = PauseId, Path, description = "Which."),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is done once.")
    ),
    responses((status = 200, description = "The pause, over.", body = Pause))
)]
pub(in crate::api) async fn end_pause(
    caller: Caller,
    headers: HeaderMap,
    At(id): At<PauseId>,
    Sent(why): Sent<EndPause>,
) -> Result<Response, Problem> {
    let row = pauses::get(&mut *caller.store().acquire().await?, id).await?.ok_or_else(no_pause)?;
    let project = row.project.as_ref().map(|(id, _)| *id);
    may_pause(&caller, project).await?;
    let reason = reasons::optional(why.reason.as_deref())?;
    let wish = Wish::read(&headers, &format!("end_pause {id}"), &why)?;
    let mut writing = match wish.begin(&caller).await? {
        Begun::Answered(answer) => return Ok(answer),
        Begun::New(writing) => writing,
    };
    let conn = writing.conn();
    if !pauses::end(conn, id, caller.person().id, caller.now()).await? {
        return Err(Problem::new(StatusCode::CONFLICT, "pause_over", sentences::pause_over()));
    }
    let detail = json!({"pause": id, "reason": reason});
    caller.audit_about(conn, "pause.ended", detail, project.map(DoneTo::Project)).await?;
    let row = pauses::get(conn, id).await?.ok_or_else(no_pause)?;
    writing.answer(&caller, StatusCode::OK, &Pause::of(row, true), None).await
}
