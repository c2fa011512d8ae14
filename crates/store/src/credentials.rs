//! Sealed credentials. What is inside only the worker can open.

use chrono::{DateTime, Utc};
use domain::{connection::CredentialKind, ids::CredentialId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, convert};

/// A sealed credential.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its id.
    pub id: CredentialId,
    /// What kind of credential is inside.
    pub kind: CredentialKind,
    /// Which key it is sealed for.
    pub key_id: String,
    /// The sealed box; empty once it was withdrawn.
    pub sealed: Vec<u8>,
    /// Whom it acts as, as far as known.
    pub login: Option<String>,
    /// When it ends, as the forge last told.
    pub expires_at: Option<DateTime<Utc>>,
    /// Since when it must not be used any more.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A sealed credential to be stored.
#[derive(Clone, Copy)]
pub struct NewCredential<'a> {
    /// What kind of credential is inside.
    pub kind: CredentialKind,
    /// Which key it is sealed for.
    pub key_id: &'a str,
    /// The sealed box.
    pub sealed: &'a [u8],
    /// Whom it acts as, if known.
    pub login: Option<&'a str>,
    /// Now.
    pub now: DateTime<Utc>,
}

/// A sealed box and the key it is sealed for.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedBox<Id> {
    /// Whose it is.
    pub id: Id,
    /// Which key it is sealed for.
    pub key_id: String,
    /// The box.
    pub sealed: Vec<u8>,
}

/// What was learnt about a credential from the forge's answers.
#[derive(Clone, Copy, Debug)]
pub struct Learnt<'a> {
    /// Whom it acts as; none keeps what is known.
    pub login: Option<&'a str>,
    /// When it ends; none keeps what is known.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Stores a sealed credential.
///
/// # Errors
/// The database fails.
pub async fn insert(conn: &mut PgConnection, new: NewCredential<'_>) -> Result<CredentialId> {
    let id = Uuid::now_v7();
    sqlx::query!(
        "insert into credentials (id, kind, key_id, sealed, login, created_at) values ($1, $2, $3, $4, $5, $6)",
        id,
        new.kind.as_str(),
        new.key_id,
        new.sealed,
        new.login,
        new.now,
    )
    .execute(conn)
    .await?;
    Ok(CredentialId::from_uuid(id))
}

/// The credential of this id, revoked or not.
///
/// # Errors
/// The database fails.
pub async fn get(conn: &mut PgConnection, id: CredentialId) -> Result<Option<Credential>> {
    let row = sqlx::query!(
        "select kind, key_id, sealed, login, expires_at, revoked_at from credentials where id = $1",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(Credential {
            id,
            kind: convert::parse("credentials", "kind", &row.kind)?,
            key_id: row.key_id,
            sealed: row.sealed,
            login: row.login,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
        })
    })
    .transpose()
}

/// Notes what the forge told about a credential.
///
/// # Errors
/// The database fails.
pub async fn learn(conn: &mut PgConnection, id: CredentialId, learnt: Learnt<'_>) -> Result<()> {
    sqlx::query!(
        "update credentials set login = coalesce($2, login), expires_at = coalesce($3, expires_at) where id = $1",
        id.as_uuid(),
        learnt.login,
        learnt.expires_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that the forge no longer takes it.
///
/// # Errors
/// The database fails.
pub async fn revoke(conn: &mut PgConnection, id: CredentialId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("update credentials set revoked_at = coalesce(revoked_at, $2) where id = $1", id.as_uuid(), now)
        .execute(conn)
        .await?;
    Ok(())
}

/// The boxes that are sealed for another key than this one, revoked credentials' too.
///
/// # Errors
/// The database fails.
pub async fn sealed_for_others(conn: &mut PgConnection, key_id: &str) -> Result<Vec<SealedBox<CredentialId>>> {
    let rows = sqlx::query!(
        "select id, key_id, sealed from credentials where key_id <> $1 and sealed <> '' order by id",
        key_id
    )
    .fetch_all(conn)
    .await?;
    let boxes = rows.into_iter().map(|row| SealedBox {
        id: CredentialId::from_uuid(row.id),
        key_id: row.key_id,
        sealed: row.sealed,
    });
    Ok(boxes.collect())
}

/// Puts a box that was sealed anew in the place of `old`. False if somebody else was first.
///
/// # Errors
/// The database fails.
pub async fn reseal(
    conn: &mut PgConnection,
    old: &SealedBox<CredentialId>,
    key_id: &str,
    sealed: &[u8],
) -> Result<bool> {
    let done = sqlx::query!(
        "update credentials set key_id = $3, sealed = $4 where id = $1 and key_id = $2",
        old.id.as_uuid(),
        old.key_id,
        key_id,
        sealed,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// How many credentials are sealed for this key.
///
/// # Errors
/// The database fails.
pub async fn count_sealed_for(conn: &mut PgConnection, key_id: &str) -> Result<i64> {
    Ok(sqlx::query_scalar!("select count(*) as \"count!\" from credentials where key_id = $1 and sealed <> ''", key_id)
        .fetch_one(conn)
        .await?)
}

/// Notes that it must not be used any more, unless a repository is worked on with it.
///
/// # Errors
/// The database fails.
pub async fn revoke_unused(conn: &mut PgConnection, id: CredentialId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update credentials set revoked_at = coalesce(revoked_at, $2) \
         where id = $1 and not exists (select from repositories r where r.credential_id = $1)",
        id.as_uuid(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Withdraws it, unless a repository is worked on with it: what was sealed is thrown away. Says whether it is withdrawn.
///
/// # Errors
/// The database fails.
pub async fn withdraw_unused(conn: &mut PgConnection, id: CredentialId, now: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query!(
        "update credentials set revoked_at = coalesce(revoked_at, $2), sealed = '' \
         where id = $1 and not exists (select from repositories r where r.credential_id = $1)",
        id.as_uuid(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}
