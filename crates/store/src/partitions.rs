//! Partitions, made ahead of time.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::{Result, convert};

/// Days of raw payloads made ahead.
const DAYS_AHEAD: i32 = 14;
/// Months of audit events made ahead.
const MONTHS_AHEAD: i32 = 3;

/// What was found and done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ensured {
    /// Partitions made now.
    pub made: u32,
    /// Whether a default partition holds rows: somebody should look why.
    pub strays: bool,
}

/// Makes the partitions that are missing. Several may do it at once.
///
/// # Errors
/// The database fails.
pub async fn ensure(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<Ensured> {
    let made = sqlx::query_scalar!("select ensure_partitions($1, $2, $3) as \"made!\"", now, DAYS_AHEAD, MONTHS_AHEAD)
        .fetch_one(&mut *conn)
        .await?;
    let strays = sqlx::query_scalar!(
        "select exists (select from delivery_payloads_default) or exists (select from audit.flow_events_default) \
         as \"strays!\""
    )
    .fetch_one(conn)
    .await?;
    Ok(Ensured { made: convert::unsigned("delivery_payloads", "partitions", made)?, strays })
}
