//! Webhook registrations and their sealed secrets.

use chrono::{DateTime, Utc};
use domain::ids::{HookId, RepositoryId};
use sqlx::PgConnection;

use crate::Result;

/// The secrets of a hook, sealed. Two while one is being replaced.
#[derive(Clone, PartialEq, Eq)]
pub struct HookSecrets {
    /// Our id of the hook, to which the secrets are bound.
    pub id: HookId,
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
    /// Our id of the hook, to which the secrets are bound.
    pub id: HookId,
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
        "select id, repository_id, secret_current, secret_previous from hooks where forge_hook_id = $1",
        forge_hook_id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| HookSecrets {
        id: HookId::from_uuid(row.id),
        repository: row.repository_id.map(RepositoryId::from_uuid),
        current: row.secret_current,
        previous: row.secret_previous,
    }))
}

/// A registered hook of a repository.
#[derive(Clone, PartialEq, Eq)]
pub struct RegisteredHook {
    /// Our id of it.
    pub id: HookId,
    /// The forge's.
    pub forge_hook_id: i64,
    /// The secret in force, sealed; none if the platform's own signs.
    pub current: Option<Vec<u8>>,
    /// The one before, sealed, while the forge is told of a new one.
    pub previous: Option<Vec<u8>>,
}

/// The hooks of a repository, the newest first, held until the transaction ends.
///
/// # Errors
/// The database fails.
pub async fn of_repository(conn: &mut PgConnection, repository: RepositoryId) -> Result<Vec<RegisteredHook>> {
    let rows = sqlx::query!(
        "select id, forge_hook_id, secret_current, secret_previous from hooks where repository_id = $1 \
         order by created_at desc, id desc for update",
        repository.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    let hooks = rows.into_iter().map(|row| RegisteredHook {
        id: HookId::from_uuid(row.id),
        forge_hook_id: row.forge_hook_id,
        current: row.secret_current,
        previous: row.secret_previous,
    });
    Ok(hooks.collect())
}

/// Stores a registration. One that is there already stays as it is; gives our id of it, which then is another than `new.id`.
///
/// # Errors
/// The database fails.
pub async fn insert(conn: &mut PgConnection, new: NewHook<'_>) -> Result<HookId> {
    let id = sqlx::query_scalar!(
        "insert into hooks (id, forge_hook_id, repository_id, secret_current, secret_previous, created_at) \
         values ($1, $2, $3, $4, $5, $6) \
         on conflict (forge_hook_id) do update set repository_id = coalesce(excluded.repository_id, hooks.repository_id) \
         returning id",
        new.id.as_uuid(),
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

/// Replaces the secrets of a hook.
///
/// # Errors
/// The database fails.
pub async fn set_secrets(conn: &mut PgConnection, id: HookId, current: &[u8], previous: Option<&[u8]>) -> Result<()> {
    sqlx::query!(
        "update hooks set secret_current = $2, secret_previous = $3 where id = $1",
        id.as_uuid(),
        current,
        previous,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The forge knows this secret: the one before is good no longer.
///
/// # Errors
/// The database fails.
pub async fn retire_previous(conn: &mut PgConnection, id: HookId, current: &[u8]) -> Result<()> {
    sqlx::query!(
        "update hooks set secret_previous = null where id = $1 and secret_current = $2",
        id.as_uuid(),
        current
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets a hook that the forge has no longer.
///
/// # Errors
/// The database fails.
pub async fn remove(conn: &mut PgConnection, id: HookId) -> Result<()> {
    sqlx::query!("delete from hooks where id = $1", id.as_uuid()).execute(conn).await?;
    Ok(())
}
