//! The schedules of projects' settings that the engine was told of.

use chrono::{DateTime, Utc};
use domain::ids::RepositoryId;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Result;

/// A schedule that the engine has, or may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The repository.
    pub repository: RepositoryId,
    /// The schedule's name in the settings.
    pub name: String,
    /// What it was told; none if it is not certain.
    pub definition: Option<String>,
}

/// The engine is about to be told: from now on it may have the schedule.
///
/// # Errors
/// The database fails.
pub async fn announce(conn: &mut PgConnection, repository: RepositoryId, name: &str, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "insert into project_schedules (repository_id, name, told_at) values ($1, $2, $3) \
         on conflict (repository_id, name) do update set definition = null, told_at = excluded.told_at",
        repository.as_uuid(),
        name,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The engine has it.
///
/// # Errors
/// The database fails.
pub async fn told(conn: &mut PgConnection, repository: RepositoryId, name: &str, definition: &str) -> Result<()> {
    sqlx::query!(
        "update project_schedules set definition = $3 where repository_id = $1 and name = $2",
        repository.as_uuid(),
        name,
        definition,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The engine has it no longer.
///
/// # Errors
/// The database fails.
pub async fn gone(conn: &mut PgConnection, repository: RepositoryId, name: &str) -> Result<()> {
    sqlx::query!("delete from project_schedules where repository_id = $1 and name = $2", repository.as_uuid(), name)
        .execute(conn)
        .await?;
    Ok(())
}

/// Those of a repository, by name.
///
/// # Errors
/// The database fails.
pub async fn list(conn: &mut PgConnection, repository: RepositoryId) -> Result<Vec<Told>> {
    let rows = sqlx::query!(
        "select name, definition from project_schedules where repository_id = $1 order by name",
        repository.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| Told { repository, name: row.name, definition: row.definition }).collect())
}

/// Repositories that have schedules in their settings, or that the engine has some of.
///
/// # Errors
/// The database fails.
pub async fn repositories(conn: &mut PgConnection) -> Result<Vec<RepositoryId>> {
    let ids: Vec<Uuid> = sqlx::query_scalar!(
        "select r.id from repositories r where jsonb_array_length(coalesce(r.config -> 'schedules', '[]')) > 0 \
             or exists (select from project_schedules s where s.repository_id = r.id) order by r.id"
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(RepositoryId::from_uuid).collect())
}
