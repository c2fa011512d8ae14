//! `POST /api/v1/runs/{run}/force`

use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{ids::RunId, people::ProjectRole, run::RunState, sentences, workflow_id};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{
    StoreError, attempts,
    audit::{self, NewFlowEvent},
};
use utoipa::ToSchema;

use super::{
    super::{
        body::{At, Sent},
        idempotency::Wish,
        reasons,
    },
    account,
    cancel::Accepted,
    found, refused,
};
use crate::{auth::Caller, problem::Problem};

/// So long a run that was cancelled has to end by itself.
const GRACE: TimeDelta = TimeDelta::seconds(60);

/// Why a run is not to be waited for any longer.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct ForceRun {
    /// Stands in the audit, and as the cause.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// End a run by force that was cancelled a minute ago and has not ended
///
/// Its workflow is terminated; the run is settled as lost, and its slot and Job are freed.
#[utoipa::path(
    post, path = "/api/v1/runs/{run}/force", tag = "runs", request_body = ForceRun,
    params(
        ("run" = RunId, Path, description = "Which."),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is done once.")
    ),
    responses((status = 202, description = "It is ended.", body = Accepted))
)]
pub(in crate::api) async fn force_run(
    caller: Caller,
    headers: HeaderMap,
    At(id): At<RunId>,
    Sent(why): Sent<ForceRun>,
) -> Result<Response, Problem> {
    let (run, _) = found(&caller, id, ProjectRole::Write).await?;
    let by = account(&caller)?;
    let reason = reasons::optional(why.reason.as_deref())?;
    let wish = Wish::read(&headers, &format!("force_run {id}"), &why)?;
    let mut tx = caller.store().begin().await?;
    if let Some(answer) = wish.earlier(&caller, &mut tx).await? {
        return Ok(answer);
    }
    if run.state == RunState::Finished {
        return Err(refused(ingest::by_hand::ByHandError::Ended));
    }
    let attempt = attempts::get(&mut tx, id, run.attempt).await?;
    // A cancel in the engine's own console is known by what the worker made of it.
    let asked = attempt.cancel_requested_at.or(attempt.stop_requested_at);
    may(asked, caller.now())?;
    let detail = json!({ "attempt": run.attempt, "reason": reason });
    let event = NewFlowEvent {
        run: Some(id),
        repository: Some(run.repository_id),
        ..NewFlowEvent::new(caller.now(), &by.login, "run_forced", detail)
    };
    audit::append(&mut tx, event).await?;
    let answer = wish.answer(&caller, &mut tx, StatusCode::ACCEPTED, &Accepted { run: id }).await?;
    // The audit first: nothing is ended that nobody can be asked about. An engine that is away ends nothing, and keeps nothing.
    let workflow = workflow_id::agent_run(caller.app().instance(), id, run.attempt);
    let words = match reason {
        Some(reason) => sentences::ended_by_force_for(&by.login, reason),
        None => sentences::ended_by_force(&by.login),
    };
    caller.app().dispatcher().engine().terminate(&workflow, &words).await.map_err(|error| {
        tracing::warn!(%error, run = %id, "a run could not be ended by force");
        Problem::unavailable("engine_unavailable", sentences::engine_not_asked(), 5)
    })?;
    tx.commit().await.map_err(StoreError::from)?;
    caller.store().ring(id);
    Ok(answer)
}

fn may(asked: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<(), Problem> {
    let conflict = |code, detail| Err(Problem::new(StatusCode::CONFLICT, code, detail));
    match asked {
        None => conflict("cancel_first", sentences::cancel_first()),
        Some(at) if now - at < GRACE => conflict("stopping", sentences::run_stopping()),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn force_comes_after_a_minute() {
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        assert_eq!(may(None, at).unwrap_err().code, "cancel_first");
        assert_eq!(may(Some(at), at + TimeDelta::seconds(59)).unwrap_err().code, "stopping");
        assert!(may(Some(at), at + TimeDelta::seconds(60)).is_ok());
    }
}
