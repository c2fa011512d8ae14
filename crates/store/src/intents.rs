//! What we are about to write on the forge, so that its echo is known as ours.

use chrono::{DateTime, Utc};
use domain::ids::{RepositoryId, RunId};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{IntentKind, Result, convert::clean};

/// Names a stored intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IntentId(pub Uuid);

/// A write to come.
#[derive(Clone, Copy, Debug)]
pub struct NewIntent<'a> {
    /// Where.
    pub repository: RepositoryId,
    /// For which run.
    pub run: Option<RunId>,
    /// What.
    pub kind: IntentKind,
    /// By what its echo is known: marker of the comment, issue and label, ref and commit.
    pub key: &'a str,
    /// Now.
    pub now: DateTime<Utc>,
}

/// Stores that a write is about to be made; to be committed before it is.
///
/// # Errors
/// The database fails.
pub async fn store(conn: &mut PgConnection, new: NewIntent<'_>) -> Result<IntentId> {
    let id = Uuid::now_v7();
    sqlx::query!(
        "insert into write_intents (id, repository_id, run_id, kind, key, created_at) values ($1, $2, $3, $4, $5, $6)",
        id,
        new.repository.as_uuid(),
        new.run.map(RunId::as_uuid),
        new.kind.as_str(),
        &clean(new.key),
        new.now,
    )
    .execute(conn)
    .await?;
    Ok(IntentId(id))
}

/// Notes that it was made, and under which id of the forge, if it got one.
///
/// # Errors
/// The database fails.
pub async fn done(conn: &mut PgConnection, id: IntentId, forge_id: Option<i64>, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update write_intents set done_at = coalesce(done_at, $3), forge_id = coalesce($2, forge_id) where id = $1",
        id.0,
        forge_id,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether we meant to write this.
///
/// # Errors
/// The database fails.
pub async fn matches(conn: &mut PgConnection, repository: RepositoryId, kind: IntentKind, key: &str) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        "select exists (select from write_intents where repository_id = $1 and kind = $2 and key = $3) as \"known!\"",
        repository.as_uuid(),
        kind.as_str(),
        &clean(key),
    )
    .fetch_one(conn)
    .await?)
}

/// Whether we wrote what the forge knows by this id.
///
/// # Errors
/// The database fails.
pub async fn matches_forge_id(
    conn: &mut PgConnection,
    repository: RepositoryId,
    kind: IntentKind,
    forge_id: i64,
) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        "select exists (select from write_intents where repository_id = $1 and kind = $2 and forge_id = $3) \
         as \"known!\"",
        repository.as_uuid(),
        kind.as_str(),
        forge_id,
    )
    .fetch_one(conn)
    .await?)
}
