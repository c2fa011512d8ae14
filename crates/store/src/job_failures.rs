//! Why the Job of an attempt ended without a report.

use domain::{
    ids::{Attempt, RunId},
    job_ending::{FailureClass, JobEnding},
};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::{
    Result, StoreError,
    convert::{self, attempt_number, clean_json},
};

/// What proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// How the Job ended; none if it was given up while it was there.
    pub ending: Option<JobEnding>,
    /// The last that it wrote itself.
    pub last_output: Option<String>,
}

/// A failure as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFailure {
    /// The class.
    pub class: FailureClass,
    /// What proves it.
    pub evidence: Evidence,
}

/// Keeps why the Job ended. The first word stays: false if there was one.
///
/// # Errors
/// The database fails.
pub async fn set(conn: &mut PgConnection, run: RunId, attempt: Attempt, failure: &JobFailure) -> Result<bool> {
    let evidence = serde_json::to_value(&failure.evidence).map_err(|error| corrupt(&error))?;
    let done = sqlx::query!(
        "update attempts set failure_class = $3, failure_evidence = $4 \
         where run_id = $1 and attempt = $2 and failure_class is null",
        run.as_uuid(),
        attempt_number(attempt),
        failure.class.as_str(),
        &*clean_json(&evidence),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Why the Job of an attempt ended; none if it reported, or is at work.
///
/// # Errors
/// The database fails.
pub async fn get(conn: &mut PgConnection, run: RunId, attempt: Attempt) -> Result<Option<JobFailure>> {
    let row = sqlx::query!(
        "select failure_class, failure_evidence from attempts where run_id = $1 and attempt = $2",
        run.as_uuid(),
        attempt_number(attempt),
    )
    .fetch_optional(conn)
    .await?;
    let Some((class, evidence)) = row.and_then(|row| row.failure_class.zip(row.failure_evidence)) else {
        return Ok(None);
    };
    Ok(Some(JobFailure {
        class: convert::parse("attempts", "failure_class", &class)?,
        evidence: serde_json::from_value(evidence).map_err(|error| corrupt(&error))?,
    }))
}

/// How many attempts of a run in a row, the newest included, ended for want of a report.
///
/// # Errors
/// The database fails.
pub async fn in_a_row(conn: &mut PgConnection, run: RunId) -> Result<u32> {
    let count = sqlx::query_scalar!(
        "select count(*) as \"count!\" from attempts where run_id = $1 and failure_class is not null \
         and attempt > coalesce((select max(attempt) from attempts where run_id = $1 and failure_class is null), 0)",
        run.as_uuid(),
    )
    .fetch_one(conn)
    .await?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

fn corrupt(error: &serde_json::Error) -> StoreError {
    convert::corrupt("attempts", "failure_evidence", &error.to_string())
}
