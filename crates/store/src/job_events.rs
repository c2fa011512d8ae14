//! What the cluster said about the Job of an attempt: a part of the run's history.

use chrono::{DateTime, Utc};
use domain::ids::{Attempt, RunId};
use sqlx::PgConnection;

use crate::{
    Result,
    convert::{attempt_number, clean, unsigned},
};

/// Most events kept of an attempt: what goes wrong in a cluster goes wrong again and again.
const MOST: i64 = 200;

/// Longest text of one that is kept, in characters.
const LONGEST: usize = 1_000;

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobEvent {
    /// The cluster's own id of it.
    pub uid: String,
    /// How often it happened.
    pub count: u32,
    /// When it last happened.
    pub at: DateTime<Utc>,
    /// Whether it is a warning.
    pub warning: bool,
    /// One word.
    pub reason: String,
    /// The cluster's words.
    pub message: String,
}

/// Keeps an event, or what is new about one that is kept: it counts up and never back. False if it is known, or if there are
/// too many already.
///
/// # Errors
/// The attempt is not there, or the database fails.
pub async fn keep(conn: &mut PgConnection, run: RunId, attempt: Attempt, event: &JobEvent) -> Result<bool> {
    let shorten = |text: &str| clean(&text.chars().take(LONGEST).collect::<String>()).into_owned();
    let done = sqlx::query!(
        "insert into job_events (run_id, attempt, uid, count, at, warning, reason, message) \
         select $1, $2, $3, $4, $5, $6, $7, $8 \
         where exists (select from job_events where run_id = $1 and attempt = $2 and uid = $3) \
             or (select count(*) from job_events where run_id = $1 and attempt = $2) < $9 \
         on conflict (run_id, attempt, uid) do update \
             set count = excluded.count, at = excluded.at, message = excluded.message \
             where job_events.count < excluded.count",
        run.as_uuid(),
        attempt_number(attempt),
        &shorten(&event.uid),
        i32::try_from(event.count.max(1)).unwrap_or(i32::MAX),
        event.at,
        event.warning,
        &shorten(&event.reason),
        &shorten(&event.message),
        MOST,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Those of an attempt, oldest first.
///
/// # Errors
/// The database fails.
pub async fn list(conn: &mut PgConnection, run: RunId, attempt: Attempt) -> Result<Vec<JobEvent>> {
    let rows = sqlx::query!(
        "select uid, count, at, warning, reason, message from job_events \
         where run_id = $1 and attempt = $2 order by at, uid",
        run.as_uuid(),
        attempt_number(attempt),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(JobEvent {
                uid: row.uid,
                count: unsigned("job_events", "count", row.count)?,
                at: row.at,
                warning: row.warning,
                reason: row.reason,
                message: row.message,
            })
        })
        .collect()
}
