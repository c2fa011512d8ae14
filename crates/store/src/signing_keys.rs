//! Keys of access tokens. One signs; those before it are known until the last token of theirs is dead.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::Result;

/// A key that signs or that something was signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its id.
    pub kid: String,
    /// The public half.
    pub public: Vec<u8>,
    /// The private half, sealed.
    pub sealed: Vec<u8>,
    /// Since when it signs.
    pub not_before: DateTime<Utc>,
    /// When the last token of it is dead; none while it signs.
    pub retire_at: Option<DateTime<Utc>>,
}

/// A key to be put in force.
#[derive(Clone, Copy)]
pub struct NewSigningKey<'a> {
    /// Its id.
    pub kid: &'a str,
    /// The public half.
    pub public: &'a [u8],
    /// The private half, sealed.
    pub sealed: &'a [u8],
    /// Now.
    pub now: DateTime<Utc>,
    /// When the last token of the one before is dead.
    pub retire_before_at: DateTime<Utc>,
}

/// The keys that are not dead, the one that signs first.
///
/// # Errors
/// The database fails.
pub async fn living(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<Vec<SigningKey>> {
    let keys = sqlx::query_as!(
        SigningKey,
        "select kid, public, sealed, not_before, retire_at from signing_keys \
         where retire_at is null or retire_at > $1 order by retire_at desc nulls first, kid",
        now
    )
    .fetch_all(conn)
    .await?;
    Ok(keys)
}

/// Keeps others from putting a key in force until the transaction ends, and gives the one that signs.
///
/// # Errors
/// The database fails.
pub async fn lock_current(conn: &mut PgConnection) -> Result<Option<SigningKey>> {
    // There may be no row to lock yet.
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('codex-k8s signing keys', 0))")
        .execute(&mut *conn)
        .await?;
    let key = sqlx::query_as!(
        SigningKey,
        "select kid, public, sealed, not_before, retire_at from signing_keys where retire_at is null"
    )
    .fetch_optional(conn)
    .await?;
    Ok(key)
}

/// Puts a key in force, and retires the one before. Only after [`lock_current`].
///
/// # Errors
/// The database fails.
pub async fn put_in_force(conn: &mut PgConnection, new: NewSigningKey<'_>) -> Result<()> {
    sqlx::query!("update signing_keys set retire_at = $1 where retire_at is null", new.retire_before_at)
        .execute(&mut *conn)
        .await?;
    sqlx::query!(
        "insert into signing_keys (kid, public, sealed, not_before) values ($1, $2, $3, $4)",
        new.kid,
        new.public,
        new.sealed,
        new.now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes the keys that are dead.
///
/// # Errors
/// The database fails.
pub async fn forget(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<u64> {
    let gone = sqlx::query!("delete from signing_keys where retire_at < $1", now).execute(conn).await?;
    Ok(gone.rows_affected())
}
