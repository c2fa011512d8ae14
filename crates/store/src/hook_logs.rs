//! What is known of each hook's delivery log at the forge: when it was looked at, how far it was read.

use chrono::{DateTime, Utc};
use domain::{
    hook_log::LookState,
    ids::{HookId, RepositoryId},
};
use sqlx::PgConnection;

use crate::{Result, convert::clean};

/// A hook whose log can be read: its repository is attached, has a credential and is not archived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookLog {
    /// The hook.
    pub id: HookId,
    /// The repository that it is for.
    pub repository: RepositoryId,
    /// When it is to be looked at.
    pub look: LookState,
    /// The newest delivery that is certainly known; before the first look the hook's registration.
    pub read_until: DateTime<Utc>,
    /// The log's entity tag when it was read to the end.
    pub etag: Option<String>,
}

/// How a look ended.
#[derive(Clone, Copy, Debug)]
pub enum Looked<'a> {
    /// Everything that was missing is in the ledger now.
    Whole {
        /// The newest delivery in the log; none if it is as it was.
        read_until: Option<DateTime<Utc>>,
        /// The log's entity tag.
        etag: Option<&'a str>,
    },
    /// There is more than one look reads; the next one goes on.
    Partly,
    /// It failed, and may do better from then on.
    Failed {
        /// Why.
        problem: &'a str,
        /// When to try again.
        not_before: DateTime<Utc>,
    },
    /// It failed, and somebody has to put something right; it is tried when it is the hook's turn.
    Impossible {
        /// Why.
        problem: &'a str,
    },
}

/// All hooks whose logs can be read.
///
/// # Errors
/// The database fails.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<HookLog>> {
    let rows = sqlx::query!(
        "select h.id, h.forge_hook_id, h.created_at, h.look_wanted_at, h.look_not_before, h.looked_at, \
             h.log_read_until, h.log_etag, r.id as repository_id \
         from hooks h join repositories r on r.id = h.repository_id \
         where r.credential_id is not null and not r.archived and r.detached_at is null order by h.forge_hook_id"
    )
    .fetch_all(conn)
    .await?;
    let logs = rows.into_iter().map(|row| HookLog {
        id: HookId::from_uuid(row.id),
        repository: RepositoryId::from_uuid(row.repository_id),
        look: LookState {
            hook: row.forge_hook_id,
            wanted_at: row.look_wanted_at,
            not_before: row.look_not_before,
            looked_at: row.looked_at,
        },
        read_until: row.log_read_until.unwrap_or(row.created_at),
        etag: row.log_etag,
    });
    Ok(logs.collect())
}

/// A delivery of this hook may have been missed. An unknown hook is none of ours.
///
/// # Errors
/// The database fails.
pub async fn want_look(conn: &mut PgConnection, forge_hook_id: i64, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update hooks set look_wanted_at = coalesce(look_wanted_at, $2) where forge_hook_id = $1",
        forge_hook_id,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deliveries of any hook may have been missed.
///
/// # Errors
/// The database fails.
pub async fn want_all_looks(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("update hooks set look_wanted_at = $1 where look_wanted_at is null", now).execute(conn).await?;
    Ok(())
}

/// A look that began at `began` is over. A gap that was noticed meanwhile stays noted.
///
/// # Errors
/// The database fails.
pub async fn looked(conn: &mut PgConnection, hook: HookId, began: DateTime<Utc>, how: Looked<'_>) -> Result<()> {
    let id = hook.as_uuid();
    match how {
        Looked::Whole { read_until, etag } => sqlx::query!(
            "update hooks set looked_at = $2, log_read_until = coalesce($3, log_read_until), log_etag = $4, \
                 look_problem = null, look_not_before = null, \
                 look_wanted_at = case when look_wanted_at > $2 then look_wanted_at end where id = $1",
            id,
            began,
            read_until,
            etag
        ),
        Looked::Partly => sqlx::query!(
            "update hooks set look_wanted_at = coalesce(look_wanted_at, $2), look_problem = null where id = $1",
            id,
            began
        ),
        Looked::Failed { problem, not_before } => sqlx::query!(
            "update hooks set look_problem = $2, look_not_before = $3, \
                 look_wanted_at = coalesce(look_wanted_at, $4) where id = $1",
            id,
            &clean(problem),
            not_before,
            began
        ),
        Looked::Impossible { problem } => sqlx::query!(
            "update hooks set look_problem = $2, looked_at = $3, look_wanted_at = null where id = $1",
            id,
            &clean(problem),
            began
        ),
    }
    .execute(conn)
    .await?;
    Ok(())
}

/// Why a hook's log can't be read, where the last look failed.
///
/// # Errors
/// The database fails.
pub async fn problem(conn: &mut PgConnection, forge_hook_id: i64) -> Result<Option<String>> {
    let problem = sqlx::query_scalar!("select look_problem from hooks where forge_hook_id = $1", forge_hook_id)
        .fetch_optional(conn)
        .await?;
    Ok(problem.flatten())
}
