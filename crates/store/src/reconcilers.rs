//! When each reconciler last ran, and what it found.

use chrono::{DateTime, Utc};
use domain::reconciler::Reconciler;
use sqlx::PgConnection;

use crate::{
    Result,
    convert::{clean_opt, parse},
};

/// The last time that a reconciler ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastRun {
    /// Which one.
    pub name: Reconciler,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it was through; none while it runs, or if its worker died.
    pub ended_at: Option<DateTime<Utc>>,
    /// What the last one that was through found.
    pub finding: Option<String>,
    /// Why the last one failed; none if it did not.
    pub error: Option<String>,
}

/// A reconciler begins.
///
/// # Errors
/// The database fails.
pub async fn begin(conn: &mut PgConnection, name: Reconciler, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "insert into reconcilers (name, started_at) values ($1, $2) \
         on conflict (name) do update set started_at = excluded.started_at, ended_at = null",
        name.as_str(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A reconciler is through: with a finding, or with what went wrong.
///
/// # Errors
/// The database fails.
pub async fn end(
    conn: &mut PgConnection,
    name: Reconciler,
    found: std::result::Result<&str, &str>,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "update reconcilers set ended_at = $2, finding = coalesce($3, finding), error = $4 where name = $1",
        name.as_str(),
        now,
        found.ok(),
        clean_opt(found.err()),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// All that have ever run, by name.
///
/// # Errors
/// The database fails.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<LastRun>> {
    let rows = sqlx::query!("select name, started_at, ended_at, finding, error from reconcilers order by name")
        .fetch_all(conn)
        .await?;
    rows.into_iter()
        .map(|row| {
            Ok(LastRun {
                name: parse("reconcilers", "name", &row.name)?,
                started_at: row.started_at,
                ended_at: row.ended_at,
                finding: row.finding,
                error: row.error,
            })
        })
        .collect()
}
