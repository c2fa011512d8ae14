//! What is exported of runs: attempts and steps of many runs at once, without prompts, outputs and tokens.

use chrono::{DateTime, Utc};
use domain::{
    ids::{Attempt, RunId},
    run::{Outcome, Step},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, convert};

/// An attempt, as it is exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedAttempt {
    /// The run.
    pub run: RunId,
    /// Its number.
    pub attempt: Attempt,
    /// Where it began; none is the start.
    pub from_step: Option<Step>,
    /// The version of its agent.
    pub agent_version: Option<i32>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Why, as a sentence.
    pub cause: Option<String>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// A step, as it is exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedStep {
    /// The run.
    pub run: RunId,
    /// Its attempt.
    pub attempt: Attempt,
    /// Which.
    pub step: Step,
    /// How often it was begun.
    pub tries: i32,
    /// Where it is, as a word.
    pub state: String,
    /// Why it failed, or failed the last time.
    pub error: Option<String>,
    /// When it was first begun.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// The attempts of these runs, in order.
///
/// # Errors
/// The database fails.
pub async fn attempts(conn: &mut PgConnection, runs: &[RunId]) -> Result<Vec<ExportedAttempt>> {
    let ids: Vec<Uuid> = runs.iter().map(|run| run.as_uuid()).collect();
    let rows = sqlx::query!(
        "select run_id, attempt, from_step, agent_version, outcome, cause, started_at, finished_at from attempts \
         where run_id = any($1) order by run_id, attempt",
        &ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(ExportedAttempt {
                run: RunId::from_uuid(row.run_id),
                attempt: convert::attempt("attempts", row.attempt)?,
                from_step: convert::parse_opt("attempts", "from_step", row.from_step.as_deref())?,
                agent_version: row.agent_version,
                outcome: convert::parse_opt("attempts", "outcome", row.outcome.as_deref())?,
                cause: row.cause,
                started_at: row.started_at,
                finished_at: row.finished_at,
            })
        })
        .collect()
}

/// The steps of these runs, by run and attempt, in the order in which they were begun.
///
/// # Errors
/// The database fails.
pub async fn steps(conn: &mut PgConnection, runs: &[RunId]) -> Result<Vec<ExportedStep>> {
    let ids: Vec<Uuid> = runs.iter().map(|run| run.as_uuid()).collect();
    let rows = sqlx::query!(
        "select run_id, attempt, step, tries, state, error, started_at, finished_at from steps \
         where run_id = any($1) order by run_id, attempt, started_at, step",
        &ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(ExportedStep {
                run: RunId::from_uuid(row.run_id),
                attempt: convert::attempt("steps", row.attempt)?,
                step: convert::parse("steps", "step", &row.step)?,
                tries: row.tries,
                state: row.state,
                error: row.error,
                started_at: row.started_at,
                finished_at: row.finished_at,
            })
        })
        .collect()
}
