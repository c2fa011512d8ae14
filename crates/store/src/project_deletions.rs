//! Projects that are being deleted, or were: a mark with a reason. Their rows stay.

use chrono::{DateTime, Utc};
use domain::{
    event::Sender,
    ids::{PersonId, ProjectId, RepositoryId},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result,
    convert::{clean, unsigned},
};

/// The deletion of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectDeletion {
    /// Which project.
    pub project: ProjectId,
    /// Who asked, on the forge.
    pub asked_by: Sender,
    /// Why.
    pub reason: String,
    /// When it was asked for.
    pub asked_at: DateTime<Utc>,
    /// Which workflow is at it.
    pub attempt: u32,
    /// What it waits for, as a sentence.
    pub message: Option<String>,
    /// When nothing was left to be done; none while it is under way.
    pub ended_at: Option<DateTime<Utc>>,
}

/// A deletion to be stored.
#[derive(Clone, Copy, Debug)]
pub struct NewDeletion<'a> {
    /// Which project.
    pub project: ProjectId,
    /// Who asks.
    pub asked_by: &'a Sender,
    /// Why.
    pub reason: &'a str,
    /// Now.
    pub now: DateTime<Utc>,
}

/// What is left to be done before a project is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Repositories that are not wholly detached.
    pub repositories: u32,
    /// Runs that have not ended.
    pub runs: u32,
}

struct Row {
    project_id: Uuid,
    asked_by_login: String,
    asked_by_id: i64,
    reason: String,
    asked_at: DateTime<Utc>,
    attempt: i32,
    message: Option<String>,
    ended_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for ProjectDeletion {
    type Error = crate::StoreError;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            project: ProjectId::from_uuid(row.project_id),
            asked_by: Sender { id: row.asked_by_id, login: row.asked_by_login, is_bot: false },
            reason: row.reason,
            asked_at: row.asked_at,
            attempt: unsigned("project_deletions", "attempt", row.attempt)?,
            message: row.message,
            ended_at: row.ended_at,
        })
    }
}

/// Marks a project as being deleted. False if it is already.
///
/// # Errors
/// The database fails.
pub async fn begin(conn: &mut PgConnection, new: NewDeletion<'_>) -> Result<bool> {
    let done = sqlx::query!(
        "insert into project_deletions (project_id, asked_by_login, asked_by_id, reason, asked_at, updated_at) \
         values ($1, $2, $3, $4, $5, $5) on conflict (project_id) do nothing",
        new.project.as_uuid(),
        &clean(&new.asked_by.login),
        new.asked_by.id,
        &clean(new.reason),
        new.now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// The deletion of a project, if it is being deleted or was.
///
/// # Errors
/// The database fails.
pub async fn find(conn: &mut PgConnection, project: ProjectId) -> Result<Option<ProjectDeletion>> {
    sqlx::query_as!(
        Row,
        "select project_id, asked_by_login, asked_by_id, reason, asked_at, attempt, message, ended_at \
         from project_deletions where project_id = $1",
        project.as_uuid()
    )
    .fetch_optional(conn)
    .await?
    .map(ProjectDeletion::try_from)
    .transpose()
}

/// The deletions of these projects.
///
/// # Errors
/// The database fails.
pub async fn of(conn: &mut PgConnection, projects: &[ProjectId]) -> Result<Vec<ProjectDeletion>> {
    let ids: Vec<Uuid> = projects.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query_as!(
        Row,
        "select project_id, asked_by_login, asked_by_id, reason, asked_at, attempt, message, ended_at \
         from project_deletions where project_id = any($1)",
        &ids
    );
    rows.fetch_all(conn).await?.into_iter().map(ProjectDeletion::try_from).collect()
}

/// What is left to be done.
///
/// # Errors
/// The database fails.
pub async fn left(conn: &mut PgConnection, project: ProjectId) -> Result<Left> {
    let row = sqlx::query!(
        "select (select count(*) from repositories where project_id = $1 \
             and (detached_at is null or credential_id is not null)) as \"repositories!\", \
             (select count(*) from runs where project_id = $1 and state <> 'finished') as \"runs!\"",
        project.as_uuid()
    )
    .fetch_one(conn)
    .await?;
    Ok(Left {
        repositories: unsigned("repositories", "count", row.repositories)?,
        runs: unsigned("runs", "count", row.runs)?,
    })
}

/// The repositories that are not wholly detached.
///
/// # Errors
/// The database fails.
pub async fn repositories_left(conn: &mut PgConnection, project: ProjectId) -> Result<Vec<RepositoryId>> {
    let ids = sqlx::query_scalar!(
        "select id from repositories where project_id = $1 and (detached_at is null or credential_id is not null) order by id",
        project.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(RepositoryId::from_uuid).collect())
}

/// Notes what it waits for.
///
/// # Errors
/// The database fails.
pub async fn note(conn: &mut PgConnection, project: ProjectId, message: &str, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update project_deletions set message = $2, updated_at = $3 where project_id = $1 and ended_at is null",
        project.as_uuid(),
        &clean(message),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletions that were last heard of before then and have not ended.
///
/// # Errors
/// The database fails.
pub async fn unfinished(conn: &mut PgConnection, before: DateTime<Utc>) -> Result<Vec<ProjectDeletion>> {
    let rows = sqlx::query_as!(
        Row,
        "select project_id, asked_by_login, asked_by_id, reason, asked_at, attempt, message, ended_at \
         from project_deletions where ended_at is null and updated_at < $1 order by project_id limit 100",
        before
    );
    rows.fetch_all(conn).await?.into_iter().map(ProjectDeletion::try_from).collect()
}

/// Another workflow takes the place of the one of this attempt; none if somebody else was first, or it has ended.
///
/// # Errors
/// The database fails.
pub async fn begin_again(
    conn: &mut PgConnection,
    project: ProjectId,
    attempt: u32,
    now: DateTime<Utc>,
) -> Result<Option<u32>> {
    let next = sqlx::query_scalar!(
        "update project_deletions set attempt = attempt + 1, updated_at = $3 \
         where project_id = $1 and attempt = $2 and ended_at is null returning attempt",
        project.as_uuid(),
        i32::try_from(attempt).unwrap_or(i32::MAX),
        now,
    )
    .fetch_optional(conn)
    .await?;
    next.map(|next| unsigned("project_deletions", "attempt", next)).transpose()
}

/// Nothing is left to be done: its members are members no longer. Gives who they were; none if it had ended already.
///
/// # Errors
/// The database fails.
pub async fn end(conn: &mut PgConnection, project: ProjectId, now: DateTime<Utc>) -> Result<Option<Vec<PersonId>>> {
    let ended = sqlx::query!(
        "update project_deletions set ended_at = $2, updated_at = $2, message = null \
         where project_id = $1 and ended_at is null",
        project.as_uuid(),
        now,
    )
    .execute(&mut *conn)
    .await?;
    if ended.rows_affected() == 0 {
        return Ok(None);
    }
    let members =
        sqlx::query_scalar!("delete from project_members where project_id = $1 returning person_id", project.as_uuid())
            .fetch_all(conn)
            .await?;
    Ok(Some(members.into_iter().map(PersonId::from_uuid).collect()))
}
