//! Wishes to cancel that may have come before the start that they are about.

use chrono::{DateTime, Utc};
use domain::ids::{DeliveryId, RepositoryId};
use sqlx::PgConnection;

use crate::{Result, SubjectKind, convert::clean};

/// A wish to cancel whatever runs on an issue or pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelMark {
    /// Where.
    pub repository: RepositoryId,
    /// What it is about.
    pub subject_kind: SubjectKind,
    /// Number of the issue or pull request.
    pub subject_number: i64,
    /// When it happened on the forge.
    pub event_at: DateTime<Utc>,
    /// The delivery that told it.
    pub delivery: DeliveryId,
    /// Who wants it.
    pub by_login: String,
    /// The forge's id of who wants it.
    pub by_id: i64,
}

/// Keeps a wish. Once more is harmless.
///
/// # Errors
/// The database fails.
pub async fn add(conn: &mut PgConnection, mark: &CancelMark) -> Result<()> {
    sqlx::query!(
        "insert into cancel_marks (repository_id, subject_kind, subject_number, event_at, delivery_id, by_login, by_id) \
         values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
        mark.repository.as_uuid(),
        mark.subject_kind.as_str(),
        mark.subject_number,
        mark.event_at,
        mark.delivery.as_uuid(),
        &clean(&mark.by_login),
        mark.by_id,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The first wish on an issue or pull request that happened at `event_at` or later.
///
/// # Errors
/// The database fails.
pub async fn find_after(
    conn: &mut PgConnection,
    repository: RepositoryId,
    subject_kind: SubjectKind,
    subject_number: i64,
    event_at: DateTime<Utc>,
) -> Result<Option<CancelMark>> {
    let row = sqlx::query!(
        "select event_at, delivery_id, by_login, by_id from cancel_marks \
         where repository_id = $1 and subject_kind = $2 and subject_number = $3 and event_at >= $4 \
         order by event_at, delivery_id limit 1",
        repository.as_uuid(),
        subject_kind.as_str(),
        subject_number,
        event_at,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| CancelMark {
        repository,
        subject_kind,
        subject_number,
        event_at: row.event_at,
        delivery: DeliveryId::from_uuid(row.delivery_id),
        by_login: row.by_login,
        by_id: row.by_id,
    }))
}
