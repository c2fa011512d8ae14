//! Sealed credentials. What is inside only the worker can open.

use chrono::{DateTime, Utc};
use domain::ids::CredentialId;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Result;

/// A sealed token.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its id.
    pub id: CredentialId,
    /// Which key it is sealed for.
    pub key_id: String,
    /// The sealed box.
    pub sealed: Vec<u8>,
    /// Whose token it is, as far as known.
    pub login: Option<String>,
    /// Since when it must not be used any more.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A sealed token to be stored.
#[derive(Clone, Copy)]
pub struct NewCredential<'a> {
    /// Which key it is sealed for.
    pub key_id: &'a str,
    /// The sealed box.
    pub sealed: &'a [u8],
    /// Whose token it is, if known.
    pub login: Option<&'a str>,
    /// Now.
    pub now: DateTime<Utc>,
}

/// Stores a sealed token.
///
/// # Errors
/// The database fails.
pub async fn insert(conn: &mut PgConnection, new: NewCredential<'_>) -> Result<CredentialId> {
    let id = Uuid::now_v7();
    sqlx::query!(
        "insert into credentials (id, kind, key_id, sealed, login, created_at) values ($1, 'token', $2, $3, $4, $5)",
        id,
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
    let row = sqlx::query!("select key_id, sealed, login, revoked_at from credentials where id = $1", id.as_uuid())
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|row| Credential {
        id,
        key_id: row.key_id,
        sealed: row.sealed,
        login: row.login,
        revoked_at: row.revoked_at,
    }))
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
