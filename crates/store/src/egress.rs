//! Where the programs of Jobs wanted to go and were not let out.

use chrono::{DateTime, Utc};
use domain::{
    egress::EgressRefusal,
    ids::{Attempt, RunId},
};
use serde_json::Value;
use sqlx::PgConnection;

use crate::{
    Result,
    convert::{self, attempt_number, clean},
};

/// Lines that an attempt may have; what is beyond is one line more, see [`OTHERS`].
const MOST_LINES: i64 = 100;

/// Stands for the hosts for which there was no line left.
pub const OTHERS: &str = "*";

/// Somebody was not let out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The host that was asked for, or [`OTHERS`].
    pub host: String,
    /// The port.
    pub port: u16,
    /// Why not.
    pub reason: EgressRefusal,
    /// How often.
    pub count: u64,
    /// When first.
    pub first_at: DateTime<Utc>,
    /// When last.
    pub last_at: DateTime<Utc>,
}

/// A refusal to be recorded.
#[derive(Clone, Copy, Debug)]
pub struct NewRefusal<'a> {
    /// The host that was asked for.
    pub host: &'a str,
    /// The port.
    pub port: u16,
    /// Why not.
    pub reason: EgressRefusal,
    /// Now.
    pub now: DateTime<Utc>,
}

/// Records a refusal. True if it is the first for this host and port: then it is news.
///
/// # Errors
/// The attempt is not there, or the database fails.
pub async fn record(conn: &mut PgConnection, run: RunId, attempt: Attempt, new: NewRefusal<'_>) -> Result<bool> {
    if count_up(conn, run, attempt, new).await? {
        return Ok(false);
    }
    // Two at once may both find room: a line more does no harm.
    let lines = sqlx::query_scalar!(
        "select count(*) as \"count!\" from egress_refusals where run_id = $1 and attempt = $2",
        run.as_uuid(),
        attempt_number(attempt),
    )
    .fetch_one(&mut *conn)
    .await?;
    let new = if lines < MOST_LINES { new } else { NewRefusal { host: OTHERS, port: 0, ..new } };
    let first = sqlx::query_scalar!(
        "insert into egress_refusals (run_id, attempt, host, port, reason, first_at, last_at) \
         values ($1, $2, $3, $4, $5, $6, $6) \
         on conflict (run_id, attempt, host, port) do update set count = egress_refusals.count + 1, \
             last_at = greatest(egress_refusals.last_at, excluded.last_at) \
         returning count = 1 as \"first!\"",
        run.as_uuid(),
        attempt_number(attempt),
        &clean(new.host),
        i32::from(new.port),
        new.reason.as_str(),
        new.now,
    )
    .fetch_one(conn)
    .await?;
    Ok(first)
}

async fn count_up(conn: &mut PgConnection, run: RunId, attempt: Attempt, new: NewRefusal<'_>) -> Result<bool> {
    let done = sqlx::query!(
        "update egress_refusals set count = count + 1, last_at = greatest(last_at, $5) \
         where run_id = $1 and attempt = $2 and host = $3 and port = $4",
        run.as_uuid(),
        attempt_number(attempt),
        &clean(new.host),
        i32::from(new.port),
        new.now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// The refusals of an attempt, the first first.
///
/// # Errors
/// The database fails.
pub async fn list(conn: &mut PgConnection, run: RunId, attempt: Attempt) -> Result<Vec<Refused>> {
    let rows = sqlx::query!(
        "select host, port, reason, count, first_at, last_at from egress_refusals \
         where run_id = $1 and attempt = $2 order by first_at, host, port",
        run.as_uuid(),
        attempt_number(attempt),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Refused {
                host: row.host,
                port: convert::unsigned("egress_refusals", "port", row.port)?,
                reason: convert::parse("egress_refusals", "reason", &row.reason)?,
                count: convert::unsigned("egress_refusals", "count", row.count)?,
                first_at: row.first_at,
                last_at: row.last_at,
            })
        })
        .collect()
}

/// What the settings of a run's repository, as they were last read on its default branch, say about the way out.
///
/// # Errors
/// The database fails.
pub async fn settings(conn: &mut PgConnection, run: RunId) -> Result<Option<Value>> {
    let found = sqlx::query_scalar!(
        "select p.config -> 'egress' from runs r join repositories p on p.id = r.repository_id where r.id = $1",
        run.as_uuid(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.flatten())
}
