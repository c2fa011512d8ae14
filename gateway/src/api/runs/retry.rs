//! `POST /api/v1/runs/{run}/retry`

use axum::response::Response;
use domain::{ids::RunId, people::ProjectRole, sentences};
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
    account,
    cancel::Accepted,
    found, refused, retry_from, wish_key,
};
use crate::{auth::Caller, problem::Problem};

/// Where a new attempt begins, and why.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct RetryRun {
    /// `start`; `continue`, which lets the agent go on from its kept work; or the name of a step, with what was done before it.
    #[schema(example = "start")]
    from: String,
    /// Stands in the audit.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// Begin a new attempt of a run that has ended
#[utoipa::path(
    post, path = "/api/v1/runs/{run}/retry", tag = "runs", request_body = RetryRun,
    params(
        ("run" = RunId, Path, description = "Which."),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is done once.")
    ),
    responses((status = 202, description = "It begins again.", body = Accepted))
)]
pub(in crate::api) async fn retry_run(
    caller: Caller,
    headers: HeaderMap,
    At(id): At<RunId>,
    Sent(wanted): Sent<RetryRun>,
) -> Result<Response, Problem> {
    found(&caller, id, ProjectRole::Write).await?;
    let by = account(&caller)?;
    let reason = reasons::optional(wanted.reason.as_deref())?;
    let from = retry_from(&wanted.from).ok_or_else(|| {
        let detail = sentences::retry_from_invalid();
        Problem::bad_request("from_invalid", detail)
    })?;
    let wish = Wish::read(&headers, &format!("retry_run {id}"), &wanted)?;
    let mut writing = match wish.begin(&caller).await? {
        Begun::Answered(answer) => return Ok(answer),
        Begun::New(writing) => writing,
    };
    let asker = Asker { by: &by, reason, instance: caller.app().instance(), now: caller.now() };
    let key = wish_key(&caller, &headers, id);
    let followed = by_hand::retry(writing.conn(), id, (from, &key), asker).await.map_err(refused)?;
    writing.answer(&caller, StatusCode::ACCEPTED, &Accepted { run: id }, Some(followed)).await
}
