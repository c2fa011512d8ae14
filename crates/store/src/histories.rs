//! Where the engine's histories of ended attempts are kept.

use chrono::{DateTime, Utc};
use domain::ids::{Attempt, RunId};
use sqlx::PgConnection;

use crate::{
    Result,
    convert::{attempt_number, unsigned},
};

/// A history that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Key of its blob.
    pub blob: String,
    /// How many events it has.
    pub events: u32,
    /// When it was stored.
    pub archived_at: DateTime<Utc>,
}

/// Writes down where an attempt's history is. A later one replaces it: it can only be longer.
///
/// # Errors
/// The attempt is not there, or the database fails.
pub async fn record(conn: &mut PgConnection, run: RunId, attempt: Attempt, history: &History) -> Result<()> {
    sqlx::query!(
        "insert into run_histories (run_id, attempt, blob, events, archived_at) values ($1, $2, $3, $4, $5) \
         on conflict (run_id, attempt) do update \
             set blob = excluded.blob, events = excluded.events, archived_at = excluded.archived_at \
             where run_histories.events < excluded.events",
        run.as_uuid(),
        attempt_number(attempt),
        history.blob,
        i32::try_from(history.events).unwrap_or(i32::MAX),
        history.archived_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Where an attempt's history is.
///
/// # Errors
/// The database fails.
pub async fn get(conn: &mut PgConnection, run: RunId, attempt: Attempt) -> Result<Option<History>> {
    let row = sqlx::query!(
        "select blob, events, archived_at from run_histories where run_id = $1 and attempt = $2",
        run.as_uuid(),
        attempt_number(attempt),
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(History {
            blob: row.blob,
            events: unsigned("run_histories", "events", row.events)?,
            archived_at: row.archived_at,
        })
    })
    .transpose()
}
