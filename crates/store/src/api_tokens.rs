//! Tokens for scripts: hashed, cut to scopes, with an end.

use chrono::{DateTime, Utc};
use domain::{
    ids::{ApiTokenId, PersonId},
    people::Scope,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result, StoreError,
    convert::{clean, parse},
};

/// A token, without itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// Its id.
    pub id: ApiTokenId,
    /// Whose.
    pub person: PersonId,
    /// What it is for, in its person's words.
    pub name: String,
    /// What it is cut to.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was taken back.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A token to be stored.
#[derive(Clone, Copy, Debug)]
pub struct NewApiToken<'a> {
    /// Whose.
    pub person: PersonId,
    /// What it is for.
    pub name: &'a str,
    /// Its hash.
    pub hash: &'a [u8],
    /// What it is cut to.
    pub scopes: &'a [Scope],
    /// Now.
    pub now: DateTime<Utc>,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

struct Row {
    id: Uuid,
    person_id: Uuid,
    name: String,
    scopes: Vec<String>,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    last_used_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for ApiToken {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: ApiTokenId::from_uuid(row.id),
            person: PersonId::from_uuid(row.person_id),
            name: row.name,
            scopes: row.scopes.iter().map(|scope| parse("api_tokens", "scopes", scope)).collect::<Result<_>>()?,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
        })
    }
}

/// Stores a token.
///
/// # Errors
/// The database fails.
pub async fn insert(conn: &mut PgConnection, new: NewApiToken<'_>) -> Result<ApiToken> {
    let scopes: Vec<String> = new.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
    let row = sqlx::query_as!(
        Row,
        "insert into api_tokens (id, person_id, name, hash, scopes, created_at, expires_at) \
         values ($1, $2, $3, $4, $5, $6, $7) \
         returning id, person_id, name, scopes, created_at, expires_at, last_used_at, revoked_at",
        Uuid::now_v7(),
        new.person.as_uuid(),
        &clean(new.name),
        new.hash,
        &scopes,
        new.now,
        new.expires_at,
    )
    .fetch_one(conn)
    .await?;
    row.try_into()
}

/// The token of a hash, if it still works. Its use is written down, once a minute.
///
/// # Errors
/// The database fails.
pub async fn take(conn: &mut PgConnection, hash: &[u8], now: DateTime<Utc>) -> Result<Option<ApiToken>> {
    let row = sqlx::query_as!(
        Row,
        "select id, person_id, name, scopes, created_at, expires_at, last_used_at, revoked_at from api_tokens \
         where hash = $1 and revoked_at is null and expires_at > $2",
        hash,
        now,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    sqlx::query!(
        "update api_tokens set last_used_at = $2 \
         where id = $1 and (last_used_at is null or last_used_at < $2::timestamptz - interval '1 minute')",
        row.id,
        now,
    )
    .execute(conn)
    .await?;
    row.try_into().map(Some)
}

/// Somebody's tokens that still work or once did, the newest first.
///
/// # Errors
/// The database fails.
pub async fn list(conn: &mut PgConnection, person: PersonId) -> Result<Vec<ApiToken>> {
    let rows = sqlx::query_as!(
        Row,
        "select id, person_id, name, scopes, created_at, expires_at, last_used_at, revoked_at from api_tokens \
         where person_id = $1 order by created_at desc, id desc limit 200",
        person.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(ApiToken::try_from).collect()
}

/// How many tokens of somebody still work.
///
/// # Errors
/// The database fails.
pub async fn count_living(conn: &mut PgConnection, person: PersonId, now: DateTime<Utc>) -> Result<i64> {
    let count = sqlx::query_scalar!(
        "select count(*) as \"count!\" from api_tokens where person_id = $1 and revoked_at is null and expires_at > $2",
        person.as_uuid(),
        now,
    )
    .fetch_one(conn)
    .await?;
    Ok(count)
}

/// Takes back one of somebody's tokens. Says whether there was such a one.
///
/// # Errors
/// The database fails.
pub async fn revoke(conn: &mut PgConnection, person: PersonId, id: ApiTokenId, now: DateTime<Utc>) -> Result<bool> {
    let revoked = sqlx::query!(
        "update api_tokens set revoked_at = $3 where id = $1 and person_id = $2 and revoked_at is null",
        id.as_uuid(),
        person.as_uuid(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(revoked.rows_affected() > 0)
}

/// Names and ends of a person's living tokens that end by then, what ends first first; at most 50.
///
/// # Errors
/// The database fails.
pub async fn ending(
    conn: &mut PgConnection,
    person: PersonId,
    now: DateTime<Utc>,
    by: DateTime<Utc>,
) -> Result<Vec<(String, DateTime<Utc>)>> {
    let rows = sqlx::query!(
        "select name, expires_at from api_tokens where person_id = $1 and revoked_at is null \
             and expires_at > $2 and expires_at < $3 \
             and expires_at - created_at > interval '2 days' order by expires_at limit 50",
        person.as_uuid(),
        now,
        by,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.name, row.expires_at)).collect())
}
