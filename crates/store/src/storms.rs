//! What was held back so that runs do not cause one another without end.

use chrono::{DateTime, Utc};
use domain::{
    event::Subject,
    ids::{DeliveryId, RepositoryId},
};
use sqlx::PgConnection;

use crate::{
    Result,
    convert::{self, clean},
};

/// Something was held back.
#[derive(Clone, Copy, Debug)]
pub struct HeldBack<'a> {
    /// Where.
    pub repository: RepositoryId,
    /// About what.
    pub subject: Subject,
    /// Why, as a sentence.
    pub reason: &'a str,
    /// The delivery that was held back.
    pub delivery: DeliveryId,
    /// When.
    pub at: DateTime<Utc>,
}

/// A storm: one issue or pull request on which things are held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storm {
    /// Where.
    pub repository: RepositoryId,
    /// About what.
    pub subject: Subject,
    /// Why the last thing was held back.
    pub reason: String,
    /// When the first thing was held back.
    pub first_at: DateTime<Utc>,
    /// When the last one was.
    pub last_at: DateTime<Utc>,
    /// How many were.
    pub held_back: u64,
}

/// Notes it. After an hour of quiet a storm is a new one.
///
/// # Errors
/// The database fails.
pub async fn note(conn: &mut PgConnection, held: HeldBack<'_>) -> Result<()> {
    sqlx::query!(
        "insert into storms (repository_id, subject_kind, subject_number, reason, first_at, last_at, last_delivery_id) \
         values ($1, $2, $3, $4, $5, $5, $6) \
         on conflict (repository_id, subject_kind, subject_number) do update set \
             first_at = case when storms.last_at < excluded.last_at - interval '1 hour' then excluded.first_at \
                 else storms.first_at end, \
             held_back = case when storms.last_at < excluded.last_at - interval '1 hour' then 1 \
                 else storms.held_back + 1 end, \
             reason = excluded.reason, last_at = greatest(storms.last_at, excluded.last_at), \
             last_delivery_id = excluded.last_delivery_id",
        held.repository.as_uuid(),
        held.subject.kind.as_str(),
        held.subject.number,
        &clean(held.reason),
        held.at,
        held.delivery.as_uuid(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Storms in which something was held back since then, the latest first; at most 100.
///
/// # Errors
/// The database fails.
pub async fn since(conn: &mut PgConnection, since: DateTime<Utc>) -> Result<Vec<Storm>> {
    let rows = sqlx::query!(
        "select repository_id, subject_kind, subject_number, reason, first_at, last_at, held_back from storms \
         where last_at >= $1 order by last_at desc limit 100",
        since
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let kind = convert::parse("storms", "subject_kind", &row.subject_kind)?;
            Ok(Storm {
                repository: RepositoryId::from_uuid(row.repository_id),
                subject: Subject { kind, number: row.subject_number },
                reason: row.reason,
                first_at: row.first_at,
                last_at: row.last_at,
                held_back: convert::unsigned("storms", "held_back", row.held_back)?,
            })
        })
        .collect()
}
