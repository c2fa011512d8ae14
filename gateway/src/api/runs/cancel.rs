//! `POST /api/v1/runs/{run}/cancel`

use axum::response::Response;
use domain::{ids::RunId, people::ProjectRole};
use http::{HeaderMap, StatusCode};
use ingest::by_hand::{self, Asker};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    super::{
        body::{At, Sent},
        idempotency::{Begun, Wish},
        reasons,
    },
    account, found, refused,
};
use crate::{auth::Caller, problem::Problem};

/// Why a run is to end.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct CancelRun {
    /// Stands in the audit, and in the run's comment.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// A wish that is on its way to the engine.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Accepted {
    pub(in crate::api) run: RunId,
}

/// End a run: its agent is asked to stop, and stopped if it does not
#[utoipa::path(
    post, path = "/api/v1/runs/{run}/cancel", tag = "runs", request_body = CancelRun,
    params(
        ("run" = RunId, Path, description = "Which."),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is done once.")
    ),
    responses((status = 202, description = "It is asked to end.", body = Accepted))
)]
pub(in crate::api) async fn cancel_run(
    caller: Caller,
    headers: HeaderMap,
    At(id): At<RunId>,
    Sent(why): Sent<CancelRun>,
) -> Result<Response, Problem> {
    found(&caller, id, ProjectRole::Write).await?;
    let by = account(&caller)?;
    let reason = reasons::optional(why.reason.as_deref())?;
    let wish = Wish::read(&headers, &format!("cancel_run {id}"), &why)?;
    let mut writing = match wish.begin(&caller).await? {
        Begun::Answered(answer) => return Ok(answer),
        Begun::New(writing) => writing,
    };
    let asker = Asker { by: &by, reason, instance: caller.app().instance(), now: caller.now() };
    let followed = by_hand::cancel(writing.conn(), id, asker).await.map_err(refused)?;
    writing.answer(&caller, StatusCode::ACCEPTED, &Accepted { run: id }, Some(followed)).await
}
