//! What has changed since somebody last looked, for pages that are open.

use std::fmt;

use chrono::{DateTime, Utc};
use domain::{
    ids::{ApiTokenId, Attempt, DeliveryId, PersonId, ProjectId, RunId, SessionId},
    people::PlatformRole,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result,
    convert::{self, attempt, parse, unsigned},
};

/// How far somebody has looked: everything that committed in transactions before it was seen. What is still under way is not
/// before it, whatever its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Horizon(pub u64);

impl fmt::Display for Horizon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A run that has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// The transaction that changed it.
    pub xid: u64,
    /// Which.
    pub run: RunId,
    /// Its project.
    pub project: ProjectId,
}

/// What was found at a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Look from here the next time.
    pub horizon: Horizon,
    /// What has changed; with a transaction that takes long, the same again.
    pub changes: Vec<Change>,
}

/// From where to look for what is new from now on.
///
/// # Errors
/// The database fails.
pub async fn horizon(conn: &mut PgConnection) -> Result<Horizon> {
    let horizon = sqlx::query_scalar!("select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as \"horizon!\"")
        .fetch_one(conn)
        .await?;
    Ok(Horizon(unsigned("live_changes", "xid", horizon)?))
}

/// Everything that changed in transactions that were not over at `from`, at most so much.
///
/// # Errors
/// The database fails.
pub async fn since(conn: &mut PgConnection, from: Horizon, most: u32) -> Result<Look> {
    // One statement, so that horizon and changes are of one snapshot.
    let rows = sqlx::query!(
        "select s.horizon as \"horizon!\", c.xid::text::bigint as \"xid?\", c.run_id as \"run_id?\", r.project_id as \"project_id?\" \
         from (select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as horizon) s \
         left join (select xid, run_id from live_changes where xid >= $1::text::xid8 order by xid limit $2) c on true \
         left join runs r on r.id = c.run_id",
        from.to_string(),
        i64::from(most),
    )
    .fetch_all(conn)
    .await?;
    let mut look = Look { horizon: from, changes: Vec::with_capacity(rows.len()) };
    for row in rows {
        look.horizon = Horizon(unsigned("live_changes", "xid", row.horizon)?).max(from);
        if let (Some(xid), Some(run), Some(project)) = (row.xid, row.run_id, row.project_id) {
            look.changes.push(Change {
                xid: unsigned("live_changes", "xid", xid)?,
                run: RunId::from_uuid(run),
                project: ProjectId::from_uuid(project),
            });
        }
    }
    Ok(look)
}

/// Where a run's newest attempt is with its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEnd {
    /// The run.
    pub run: RunId,
    /// Its newest attempt.
    pub attempt: Attempt,
    /// Where the log goes on.
    pub next: u64,
}

/// How far the logs of runs are that have printed something and are not archived.
///
/// # Errors
/// The database fails.
pub async fn log_ends(conn: &mut PgConnection, runs: &[RunId]) -> Result<Vec<LogEnd>> {
    let ids: Vec<Uuid> = runs.iter().map(|run| run.as_uuid()).collect();
    let rows = sqlx::query!(
        "select r.id, r.attempt, l.seq from runs r cross join lateral \
             (select seq from log_chunks where run_id = r.id and attempt = r.attempt order by seq desc limit 1) l \
         where r.id = any($1)",
        &ids,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(LogEnd {
                run: RunId::from_uuid(row.id),
                attempt: attempt("runs", row.attempt)?,
                next: convert::unsigned::<u64>("log_chunks", "seq", row.seq)? + 1,
            })
        })
        .collect()
}

/// What came in lately: each delivery, and the project that it is about.
///
/// # Errors
/// The database fails.
pub async fn deliveries_since(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
    most: u32,
) -> Result<Vec<(DeliveryId, Option<ProjectId>)>> {
    let rows = sqlx::query!(
        "select d.id, r.project_id as \"project_id?\" from deliveries d left join repositories r on r.id = d.repository_id \
         where d.received_at > $1 order by d.received_at desc, d.id desc limit $2",
        since,
        i64::from(most),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (DeliveryId::from_uuid(row.id), row.project_id.map(ProjectId::from_uuid))).collect())
}

/// What somebody may see now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Who.
    pub person: PersonId,
    /// Their role on the platform.
    pub role: PlatformRole,
    /// The projects that they are members of.
    pub projects: Vec<ProjectId>,
}

/// What these people may see. Who is locked out is left out.
///
/// # Errors
/// The database fails.
pub async fn sights(conn: &mut PgConnection, people: &[PersonId]) -> Result<Vec<Sight>> {
    let ids: Vec<Uuid> = people.iter().map(|person| person.as_uuid()).collect();
    let rows = sqlx::query!(
        "select p.id, p.role, array(select project_id from project_members m where m.person_id = p.id) as \"projects!\" \
         from people p where p.id = any($1) and p.disabled_at is null",
        &ids,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Sight {
                person: PersonId::from_uuid(row.id),
                role: parse("people", "role", &row.role)?,
                projects: row.projects.into_iter().map(ProjectId::from_uuid).collect(),
            })
        })
        .collect()
}

/// Of these sign-ins, those that are not over.
///
/// # Errors
/// The database fails.
pub async fn living_sessions(
    conn: &mut PgConnection,
    sessions: &[SessionId],
    now: DateTime<Utc>,
) -> Result<Vec<SessionId>> {
    let ids: Vec<Uuid> = sessions.iter().map(|session| session.as_uuid()).collect();
    let rows = sqlx::query_scalar!(
        "select id from sessions where id = any($1) and revoked_at is null and expires_at > $2",
        &ids,
        now,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(SessionId::from_uuid).collect())
}

/// Of these tokens for scripts, those that were not taken back.
///
/// # Errors
/// The database fails.
pub async fn living_tokens(
    conn: &mut PgConnection,
    tokens: &[ApiTokenId],
    now: DateTime<Utc>,
) -> Result<Vec<ApiTokenId>> {
    let ids: Vec<Uuid> = tokens.iter().map(|token| token.as_uuid()).collect();
    let rows = sqlx::query_scalar!(
        "select id from api_tokens where id = any($1) and revoked_at is null and expires_at > $2",
        &ids,
        now,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(ApiTokenId::from_uuid).collect())
}

/// Deletes changes that nobody resumes from any more, at most so many; says how many.
///
/// # Errors
/// The database fails.
pub async fn forget(conn: &mut PgConnection, cutoff: DateTime<Utc>, most: u32) -> Result<u64> {
    let done = sqlx::query!(
        "delete from live_changes where (xid, run_id) in \
             (select xid, run_id from (select xid, run_id, at from live_changes order by xid limit $2) oldest where at < $1)",
        cutoff,
        i64::from(most),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
