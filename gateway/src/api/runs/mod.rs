//! Runs: what they are about, how they went, and what staff do: start, cancel and retry them.

pub(super) mod cancel;
pub(super) mod diff;
pub(super) mod download_log;
pub(super) mod force;
pub(super) mod history;
pub(super) mod job;
pub(super) mod list;
pub(super) mod log;
pub(super) mod prompt;
pub(super) mod read;
pub(super) mod retry;
pub(super) mod search_log;
pub(super) mod start;

mod shown;

use domain::{
    commands::RetryFrom,
    event::Sender,
    ids::{Attempt, RunId},
    people::ProjectRole,
    sentences,
};
use http::{HeaderMap, StatusCode};
use ingest::by_hand::ByHandError;
use serde::{Deserialize, Serialize};
use store::{
    attempts::{self, AttemptRecord},
    runs::{self, Run},
};

use utoipa::ToSchema;

use crate::{auth::Caller, problem::Problem};

/// What becomes of the runs that are at work or wait.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Running {
    /// They go on.
    #[default]
    GoOn,
    /// They are asked to end.
    Cancel,
}

/// What is said about a run that there is not, or that may not be seen.
fn no_run() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "run_not_found", sentences::run_not_found())
}

/// A run, if the caller may do this with it; and what they may do in its project.
///
/// # Errors
/// 404; 403 if they may see it, but not do this; 503 if the database does not answer.
pub(super) async fn found(caller: &Caller, id: RunId, needed: ProjectRole) -> Result<(Run, ProjectRole), Problem> {
    let run = runs::find(&mut *caller.store().acquire().await?, id).await?.ok_or_else(no_run)?;
    let role = caller.in_project(run.project_id, needed, no_run).await?;
    Ok((run, role))
}

/// An attempt of a run, if the caller may do this with it.
///
/// # Errors
/// As for [`found`]; 404 for an attempt that there is not.
async fn of_attempt(caller: &Caller, id: RunId, attempt: u32, needed: ProjectRole) -> Result<AttemptRecord, Problem> {
    let (run, _) = found(caller, id, needed).await?;
    if attempt == 0 || attempt > run.attempt.0 {
        return Err(no_run());
    }
    Ok(attempts::get(&mut *caller.store().acquire().await?, id, Attempt(attempt)).await?)
}

/// The caller's account on the forge: what they do to a run is done in its name.
///
/// # Errors
/// 403 for somebody who has never signed in.
pub(super) fn account(caller: &Caller) -> Result<Sender, Problem> {
    let person = caller.person();
    match (person.github_id, &person.login) {
        (Some(id), Some(login)) => Ok(Sender { id, login: login.clone(), is_bot: false }),
        _ => Err(Problem::new(StatusCode::FORBIDDEN, "account_unknown", sentences::browser_first())),
    }
}

fn refused(error: ByHandError) -> Problem {
    let conflict = |code, detail: String| Problem::new(StatusCode::CONFLICT, code, detail);
    match error {
        ByHandError::Ended => conflict("run_ended", sentences::run_ended().into()),
        ByHandError::AtWork => conflict("run_at_work", sentences::run_at_work().into()),
        ByHandError::SubjectBusy(other) => conflict("subject_busy", sentences::run_busy_there(other)),
        ByHandError::Paused(pause) => conflict("paused", sentences::end_pause_first(pause)),
        ByHandError::Refused { verdict, reason } => conflict(verdict.as_str(), reason),
        ByHandError::SameKey => conflict("retry_known", sentences::retry_known().into()),
        ByHandError::Store(error) => error.into(),
    }
}

/// Where a retry begins, as callers write it.
fn retry_from(text: &str) -> Option<RetryFrom> {
    match text {
        "start" => Some(RetryFrom::Start),
        "continue" => Some(RetryFrom::KeptWork),
        step => step.parse().ok().map(RetryFrom::Step),
    }
}

/// The caller's key for this wish; a new one if they gave none.
fn wish_key(caller: &Caller, headers: &HeaderMap, about: impl std::fmt::Display) -> String {
    match headers.get("idempotency-key").and_then(|value| value.to_str().ok()) {
        Some(key) => format!("{}:{about}:{key}", caller.person().id),
        None => format!("{}:{about}:{}", caller.person().id, uuid::Uuid::now_v7()),
    }
}
