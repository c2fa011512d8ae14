//! Webhook registrations and their sealed secrets.

use chrono::{DateTime, Utc};
use domain::ids::{HookId, RepositoryId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Result;

/// The secrets of a hook, sealed. Two while one is being replaced.
#[derive(Clone, PartialEq, Eq)]
pub struct HookSecrets {
    /// The one repository that the hook may speak for; none if for many.
    pub repository: Option<RepositoryId>,
    /// The one in force; none if the platform's own signs.
    pub current: Option<Vec<u8>>,
    /// The one before, still good while the forge is told of the new one.
    pub previous: Option<Vec<u8>>,
}

/// A registration to be stored.
#[derive(Clone, Copy)]
pub struct NewHook<'a> {
    /// The forge's id.
    pub forge_hook_id: i64,
    /// The repository that it is for; none if for many.
    pub repository: Option<RepositoryId>,
    /// The secret in force, sealed; none keeps the one that is there, or leaves it to the platform's own.
    pub current: Option<&'a [u8]>,
    /// The one before, sealed.
    pub previous: Option<&'a [u8]>,
    /// Now.
    pub now: DateTime<Utc>,
}

/// The secrets of the hook that the forge knows by this id.
///
/// # Errors
/// The database fails.
pub async fn secrets_for(conn: &mut PgConnection, forge_hook_id: i64) -> Result<Option<HookSecrets>> {
    let row = sqlx::query!(
        "select repository_id, secret_current, secret_previous from hooks where forge_hook_id = $1",
        forge_hook_id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| HookSecrets {
        repository: row.repository_id.map(RepositoryId::from_uuid),
        current: row.secret_current,
        previous: row.secret_previous,
    }))
}

/// Stores a registration, or replaces its secrets.
///
/// # Errors
/// The database fails.
pub async fn upsert(conn: &mut PgConnection, new: NewHook<'_>) -> Result<HookId> {
    let id = sqlx::query_scalar!(
        "insert into hooks (id, forge_hook_id, repository_id, secret_current, secret_previous, created_at) \
         values ($1, $2, $3, $4, $5, $6) \
         on conflict (forge_hook_id) do update set repository_id = excluded.repository_id, \
             secret_current = coalesce(excluded.secret_current, hooks.secret_current), \
             secret_previous = case when excluded.secret_current is null then hooks.secret_previous \
                 else excluded.secret_previous end \
         returning id",
        Uuid::now_v7(),
        new.forge_hook_id,
        new.repository.map(RepositoryId::as_uuid),
        new.current,
        new.previous,
        new.now,
    )
    .fetch_one(conn)
    .await?;
    Ok(HookId::from_uuid(id))
}
