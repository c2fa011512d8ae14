//! Writes that were asked for with a key: what they answered, so that the same wish sent again gets the same answer.

use chrono::{DateTime, Utc};
use domain::ids::PersonId;
use serde_json::Value;
use sqlx::PgConnection;

use crate::{
    Result,
    convert::{clean_json, unsigned},
};

/// A wish with its key.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// Whose.
    pub person: PersonId,
    /// The key that they gave it.
    pub key: &'a str,
    /// Hash of what was asked for.
    pub request_hash: &'a [u8],
    /// Now.
    pub now: DateTime<Utc>,
}

/// What is known about a wish.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    /// It came for the first time: do it, and [`answered`] in the same transaction.
    New,
    /// It was done, with this answer.
    Answered {
        /// HTTP status.
        status: u16,
        /// Body.
        body: Value,
    },
    /// The key was given to another wish.
    Another,
}

/// Looks a wish up and claims its key. A second one that comes at the same time waits for the transaction of the first.
///
/// # Errors
/// The database fails.
pub async fn claim(conn: &mut PgConnection, wish: Wish<'_>) -> Result<Known> {
    let claimed = sqlx::query!(
        "insert into idempotency_keys (person_id, key, request_hash, status, body, created_at) \
         values ($1, $2, $3, 0, 'null', $4) on conflict do nothing",
        wish.person.as_uuid(),
        wish.key,
        wish.request_hash,
        wish.now,
    )
    .execute(&mut *conn)
    .await?;
    if claimed.rows_affected() > 0 {
        return Ok(Known::New);
    }
    let row = sqlx::query!(
        "select request_hash, status, body from idempotency_keys where person_id = $1 and key = $2",
        wish.person.as_uuid(),
        wish.key,
    )
    .fetch_one(conn)
    .await?;
    if row.request_hash != wish.request_hash {
        return Ok(Known::Another);
    }
    Ok(Known::Answered { status: unsigned("idempotency_keys", "status", row.status)?, body: row.body })
}

/// Stores the answer to a wish that was claimed.
///
/// # Errors
/// The database fails.
pub async fn answered(conn: &mut PgConnection, wish: Wish<'_>, status: u16, body: &Value) -> Result<()> {
    sqlx::query!(
        "update idempotency_keys set status = $3, body = $4 where person_id = $1 and key = $2",
        wish.person.as_uuid(),
        wish.key,
        i32::from(status),
        &*clean_json(body),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes answers from before `keep_from`.
///
/// # Errors
/// The database fails.
pub async fn forget(conn: &mut PgConnection, keep_from: DateTime<Utc>) -> Result<u64> {
    let gone = sqlx::query!("delete from idempotency_keys where created_at < $1", keep_from).execute(conn).await?;
    Ok(gone.rows_affected())
}
