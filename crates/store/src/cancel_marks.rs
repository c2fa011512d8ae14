//! Wishes to cancel that may have come before the start that they are about.

use chrono::{DateTime, Utc};
use domain::{
    event::Subject,
    ids::{DeliveryId, RepositoryId},
    triggers::CancelMark,
};
use sqlx::PgConnection;

use crate::{
    Result,
    convert::{clean_opt, json, to_json},
};

/// A wish to be kept.
#[derive(Clone, Copy, Debug)]
pub struct NewCancelMark<'a> {
    /// Where.
    pub repository: RepositoryId,
    /// What it is about.
    pub subject: Subject,
    /// The delivery that told it.
    pub delivery: DeliveryId,
    /// The wish.
    pub mark: &'a CancelMark,
}

/// Keeps a wish. Once more is harmless.
///
/// # Errors
/// The database fails.
pub async fn add(conn: &mut PgConnection, new: NewCancelMark<'_>) -> Result<()> {
    let request = to_json("cancel_marks", "request", &new.mark.request)?;
    sqlx::query!(
        "insert into cancel_marks \
             (repository_id, subject_kind, subject_number, event_at, delivery_id, label, request) \
         values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
        new.repository.as_uuid(),
        new.subject.kind.as_str(),
        new.subject.number,
        new.mark.at,
        new.delivery.as_uuid(),
        clean_opt(new.mark.label.as_deref()),
        request,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The wishes on an issue or pull request that happened at `event_at` or later, the first first.
///
/// # Errors
/// The database fails.
pub async fn find_after(
    conn: &mut PgConnection,
    repository: RepositoryId,
    subject: Subject,
    event_at: DateTime<Utc>,
) -> Result<Vec<CancelMark>> {
    let rows = sqlx::query!(
        "select event_at, label, request from cancel_marks \
         where repository_id = $1 and subject_kind = $2 and subject_number = $3 and event_at >= $4 \
         order by event_at, delivery_id",
        repository.as_uuid(),
        subject.kind.as_str(),
        subject.number,
        event_at,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let request = json("cancel_marks", "request", row.request)?;
            Ok(CancelMark { label: row.label, at: row.event_at, request })
        })
        .collect()
}
