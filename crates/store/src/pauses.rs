//! Pauses: what would start is written down and not started.

use chrono::{DateTime, Utc};
use domain::{
    ids::{PauseId, PersonId, ProjectId, RunId},
    pauses,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, convert::clean};

/// A pause as staff see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Its id.
    pub id: PauseId,
    /// Of this project: its id and short name; none: of all.
    pub project: Option<(ProjectId, String)>,
    /// Of the agent of this name; none: of all.
    pub agent: Option<String>,
    /// Why.
    pub reason: String,
    /// Login of who paused it, or their address.
    pub begun_by: String,
    /// Since when.
    pub begun_at: DateTime<Utc>,
    /// Until when.
    pub ended_at: Option<DateTime<Utc>>,
    /// How many deliveries it has held back so far.
    pub held_back: u64,
}

/// A pause to begin.
#[derive(Clone, Copy, Debug)]
pub struct NewPause<'a> {
    /// Of this project; none: of all.
    pub project: Option<ProjectId>,
    /// Of the agent of this name; none: of all.
    pub agent: Option<&'a str>,
    /// Why.
    pub reason: &'a str,
    /// Who.
    pub by: PersonId,
    /// Now.
    pub now: DateTime<Utc>,
}

struct Row {
    id: Uuid,
    project_id: Option<Uuid>,
    slug: Option<String>,
    agent: Option<String>,
    reason: String,
    begun_by: String,
    begun_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    held_back: i64,
}

impl From<Row> for Pause {
    fn from(row: Row) -> Self {
        Self {
            id: PauseId::from_uuid(row.id),
            project: row.project_id.map(ProjectId::from_uuid).zip(row.slug),
            agent: row.agent,
            reason: row.reason,
            begun_by: row.begun_by,
            begun_at: row.begun_at,
            ended_at: row.ended_at,
            held_back: u64::try_from(row.held_back).unwrap_or_default(),
        }
    }
}

/// The columns of [`Row`], written once.
macro_rules! select_pauses {
    ($tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            "select a.id, a.project_id, p.slug as \"slug?\", a.agent, a.reason, coalesce(b.login, b.email) as \"begun_by!\", \
                 a.begun_at, a.ended_at, \
                 (select count(*) from deliveries d join repositories o on o.id = d.repository_id \
                     where d.verdict = 'paused' and d.received_at >= a.begun_at \
                     and (a.project_id is null or o.project_id = a.project_id)) as \"held_back!\" \
             from pauses a join people b on b.id = a.begun_by left join projects p on p.id = a.project_id " + $tail
            $(, $argument)*
        )
    };
}

/// Begins a pause; none if the same is paused already.
///
/// # Errors
/// The database fails.
pub async fn begin(conn: &mut PgConnection, new: NewPause<'_>) -> Result<Option<PauseId>> {
    let id = sqlx::query_scalar!(
        "insert into pauses (id, project_id, agent, reason, begun_by, begun_at) values ($1, $2, $3, $4, $5, $6) \
         on conflict do nothing returning id",
        Uuid::now_v7(),
        new.project.map(ProjectId::as_uuid),
        new.agent,
        &clean(new.reason),
        new.by.as_uuid(),
        new.now,
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.map(PauseId::from_uuid))
}

/// Ends a pause; false if it was over, or never there.
///
/// # Errors
/// The database fails.
pub async fn end(conn: &mut PgConnection, id: PauseId, by: PersonId, now: DateTime<Utc>) -> Result<bool> {
    let ended = sqlx::query!(
        "update pauses set ended_by = $2, ended_at = $3 where id = $1 and ended_at is null",
        id.as_uuid(),
        by.as_uuid(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(ended.rows_affected() > 0)
}

/// The pause of this id.
///
/// # Errors
/// The database fails.
pub async fn get(conn: &mut PgConnection, id: PauseId) -> Result<Option<Pause>> {
    Ok(select_pauses!("where a.id = $1", id.as_uuid()).fetch_optional(conn).await?.map(Pause::from))
}

/// Pauses that hold, those of the whole platform first; of projects only those that this person is a member of.
///
/// # Errors
/// The database fails.
pub async fn list(conn: &mut PgConnection, seen_by: Option<PersonId>) -> Result<Vec<Pause>> {
    let rows = select_pauses!(
        "where a.ended_at is null and ($1::uuid is null or a.project_id is null \
             or a.project_id in (select project_id from project_members where person_id = $1)) \
         order by p.slug nulls first, a.agent nulls first limit 200",
        seen_by.map(PersonId::as_uuid),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Pause::from).collect())
}

/// The pauses that hold for a project, as the rules see them.
///
/// # Errors
/// The database fails.
pub async fn holding(conn: &mut PgConnection, project: ProjectId) -> Result<Vec<pauses::Pause>> {
    let rows = sqlx::query!(
        "select a.project_id, a.agent, a.reason, coalesce(b.login, b.email) as \"by!\", a.begun_at \
         from pauses a join people b on b.id = a.begun_by \
         where a.ended_at is null and (a.project_id is null or a.project_id = $1) \
         order by a.project_id nulls first, a.agent nulls first",
        project.as_uuid(),
    )
    .fetch_all(conn)
    .await?;
    let pauses = rows.into_iter().map(|row| pauses::Pause {
        everywhere: row.project_id.is_none(),
        agent: row.agent,
        by: row.by,
        reason: row.reason,
        since: row.begun_at,
    });
    Ok(pauses.collect())
}

/// The runs at work that a pause of this is about, the oldest first; at most 1000.
///
/// # Errors
/// The database fails.
pub async fn at_work(conn: &mut PgConnection, project: Option<ProjectId>, agent: Option<&str>) -> Result<Vec<RunId>> {
    let ids = sqlx::query_scalar!(
        "select id from runs where state <> 'finished' and ($1::uuid is null or project_id = $1) \
             and ($2::text is null or agent = $2) order by created_at, id limit 1000",
        project.map(ProjectId::as_uuid),
        agent,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(RunId::from_uuid).collect())
}
