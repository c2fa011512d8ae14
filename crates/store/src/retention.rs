//! What is kept for a time only: raw payloads of deliveries, and logs. The ledger, runs and audit stay.

use chrono::{DateTime, Utc};
use domain::ids::{Attempt, RunId};
use sqlx::PgConnection;

use crate::{
    Result,
    convert::{self, attempt_number},
};

/// An attempt whose logs are old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldLogs {
    /// The run.
    pub run: RunId,
    /// Its attempt.
    pub attempt: Attempt,
}

/// Drops the oldest day of payloads that was over before `cutoff`; false if there is none. To be called in a transaction of
/// its own: nobody stores a payload until that ends.
///
/// # Errors
/// The database fails, or somebody else is at the payloads for longer than webhooks should wait.
pub async fn drop_payload_day(conn: &mut PgConnection, cutoff: DateTime<Utc>) -> Result<bool> {
    let dropped = sqlx::query_scalar!("select drop_old_payloads($1)", cutoff).fetch_one(conn).await?;
    Ok(dropped.is_some())
}

/// Deletes payloads from before `cutoff` that had no partition of their own, at most so many; says how many.
///
/// # Errors
/// The database fails.
pub async fn delete_stray_payloads(conn: &mut PgConnection, cutoff: DateTime<Utc>, most: u32) -> Result<u64> {
    let done = sqlx::query!(
        "delete from delivery_payloads_default where (delivery_id, received_at) in \
             (select delivery_id, received_at from delivery_payloads_default where received_at < $1 limit $2)",
        cutoff,
        i64::from(most),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// The attempts, at most so many, whose logs are to be deleted: those of runs that ended before `cutoff`. What a log is
/// made of (rows, blobs) is up to who deletes it; [`logs_deleted`] takes the attempt off this list.
///
/// # Errors
/// The database fails.
pub async fn old_logs(conn: &mut PgConnection, cutoff: DateTime<Utc>, most: u32) -> Result<Vec<OldLogs>> {
    let rows = sqlx::query!(
        "select a.run_id, a.attempt from attempts a join runs r on r.id = a.run_id \
         where a.logs_deleted_at is null and r.finished_at < $1 order by a.run_id, a.attempt limit $2",
        cutoff,
        i64::from(most),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let attempt = Attempt(convert::unsigned("attempts", "attempt", row.attempt)?);
            Ok(OldLogs { run: RunId::from_uuid(row.run_id), attempt })
        })
        .collect()
}

/// Deletes rows of an attempt's log, at most so many; says how many.
///
/// # Errors
/// The database fails.
pub async fn delete_log_chunks(conn: &mut PgConnection, of: OldLogs, most: u32) -> Result<u64> {
    let done = sqlx::query!(
        "delete from log_chunks where run_id = $1 and attempt = $2 and seq in \
             (select seq from log_chunks where run_id = $1 and attempt = $2 order by seq limit $3)",
        of.run.as_uuid(),
        attempt_number(of.attempt),
        i64::from(most),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Nothing is left of an attempt's log.
///
/// # Errors
/// The database fails.
pub async fn logs_deleted(conn: &mut PgConnection, of: OldLogs, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update attempts set logs_deleted_at = $3 where run_id = $1 and attempt = $2",
        of.run.as_uuid(),
        attempt_number(of.attempt),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}
