//! Locks that end with their transaction.

use domain::ids::RunId;
use sqlx::PgConnection;

use crate::Result;

/// Makes everybody who judges an event about one issue or pull request wait for the one before. They share one space of
/// numbers, so the kind does not matter.
///
/// # Errors
/// The lock is not to be had in time, or the database fails.
pub async fn subject(conn: &mut PgConnection, forge_repo_id: i64, number: i64) -> Result<()> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1, 0))", format!("subject {forge_repo_id} {number}"))
        .fetch_one(conn)
        .await?;
    Ok(())
}

/// Makes one writer at a time look for the sticky comment of a run and, if there is none, write it.
///
/// # Errors
/// The lock is not to be had in time, or the database fails.
pub async fn sticky_comment(conn: &mut PgConnection, run: RunId) -> Result<()> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1, 0))", format!("comment {run}"))
        .fetch_one(conn)
        .await?;
    Ok(())
}
