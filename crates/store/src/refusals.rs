//! Runs that were refused: there are limits to how many, and to what is said about them.

use chrono::{DateTime, Utc};
use domain::ids::{RepositoryId, RunId};
use sqlx::PgConnection;

use crate::{Result, convert};

/// A refusal.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    /// The run that was refused.
    pub run: RunId,
    /// Where.
    pub repository: RepositoryId,
    /// Number of the issue or pull request.
    pub subject_number: i64,
    /// Whether it was said there.
    pub commented: bool,
    /// Now.
    pub now: DateTime<Utc>,
}

/// Keeps a refusal. Once more only notes the comment.
///
/// # Errors
/// The database fails.
pub async fn record(conn: &mut PgConnection, refusal: Refusal) -> Result<()> {
    sqlx::query!(
        "insert into refusals (run_id, repository_id, subject_number, at, commented) values ($1, $2, $3, $4, $5) \
         on conflict (run_id) do update set commented = refusals.commented or excluded.commented",
        refusal.run.as_uuid(),
        refusal.repository.as_uuid(),
        refusal.subject_number,
        refusal.now,
        refusal.commented,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How many runs were refused in a repository since then.
///
/// # Errors
/// The database fails.
pub async fn count_since(conn: &mut PgConnection, repository: RepositoryId, since: DateTime<Utc>) -> Result<u32> {
    let count = sqlx::query_scalar!(
        "select count(*) as \"count!\" from refusals where repository_id = $1 and at >= $2",
        repository.as_uuid(),
        since,
    )
    .fetch_one(conn)
    .await?;
    convert::unsigned("refusals", "count", count)
}

/// Whether an issue or pull request was told of a refusal already.
///
/// # Errors
/// The database fails.
pub async fn commented_on(conn: &mut PgConnection, repository: RepositoryId, subject_number: i64) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        "select exists (select from refusals where repository_id = $1 and subject_number = $2 and commented) \
         as \"told!\"",
        repository.as_uuid(),
        subject_number,
    )
    .fetch_one(conn)
    .await?)
}
