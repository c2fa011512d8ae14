//! `POST /api/v1/runs/{run}/retry`

use axum::response::Response;
use domain::{ids::RunId, people::ProjectRole};
use http::{HeaderMap, StatusCode};
use ingest::by_hand::{self, Asker};
use serde::{Deserialize, Serialize};
use store::StoreError;
use utoipa::ToSchema;

use super::{
    super::{
        body::{At, Sent},
        idempotency::Wish,
    },
    account,
    cancel::Accepted,
    found, reason, refused, retry_from, wish_key,
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
    let reason = reason(wanted.reason.as_deref())?;
    let from = retry_from(&wanted.from).ok_or_else(|| {
        let detail = "begin at `start`, `continue`, or at one of the steps of a run, such as `publish`";
        Problem::bad_request("from_invalid", detail)
    })?;
    let wish = Wish::read(&headers, &format!("retry_run {id}"), &wanted)?;
    let mut tx = caller.store().begin().await?;
    if let Some(answer) = wish.earlier(&caller, &mut tx).await? {
        return Ok(answer);
    }
    let asker = Asker { by: &by, reason, instance: caller.app().instance(), now: caller.now() };
    let key = wish_key(&caller, &headers, id);
    let followed = by_hand::retry(&mut tx, id, (from, &key), asker).await.map_err(refused)?;
    let answer = wish.answer(&caller, &mut tx, StatusCode::ACCEPTED, &Accepted { run: id }).await?;
    tx.commit().await.map_err(StoreError::from)?;
    caller.store().ring(id);
    if let Some(workflow) = followed.workflow_id {
        caller.app().dispatcher().spawn(workflow);
    }
    Ok(answer)
}
