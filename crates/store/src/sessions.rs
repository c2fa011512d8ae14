//! What keeps people signed in: families of refresh tokens, and the answers of the forge that were taken.

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{PersonId, SessionId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, convert::clean_opt};

/// A sign-in to be stored.
#[derive(Clone, Debug)]
pub struct NewSession<'a> {
    /// Whose.
    pub person: PersonId,
    /// Hash of the first refresh token.
    pub hash: &'a [u8],
    /// What the browser calls itself.
    pub user_agent: Option<&'a str>,
    /// Now.
    pub now: DateTime<Utc>,
    /// The end, however much it is used.
    pub expires_at: DateTime<Utc>,
}

/// A sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// What the browser calls itself.
    pub user_agent: Option<String>,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it was last refreshed.
    pub last_used_at: DateTime<Utc>,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

/// A refresh token is given for a new one.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// Hash of the one that came.
    pub old: &'a [u8],
    /// Hash of the one that goes.
    pub new: &'a [u8],
    /// How long after its use an old one still gets a sibling.
    pub grace: TimeDelta,
    /// How long a session lives without being used.
    pub idle: TimeDelta,
    /// Now.
    pub now: DateTime<Utc>,
}

/// How an exchange went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchanged {
    /// The new token is in force.
    Done {
        /// The session.
        session: SessionId,
        /// Whose.
        person: PersonId,
    },
    /// Nobody knows the old token, or its session is over.
    Unknown,
    /// The old token was used before: somebody has a copy. The session is revoked.
    Reused {
        /// The session.
        session: SessionId,
        /// Whose.
        person: PersonId,
    },
}

/// More tokens of one generation than tabs that refresh at once.
const MAX_SIBLINGS: i64 = 20;

/// Stores a sign-in.
///
/// # Errors
/// The database fails.
pub async fn begin(conn: &mut PgConnection, new: NewSession<'_>) -> Result<SessionId> {
    let id = Uuid::now_v7();
    sqlx::query!(
        "insert into sessions (id, person_id, user_agent, created_at, last_used_at, expires_at) \
         values ($1, $2, $3, $4, $4, $5)",
        id,
        new.person.as_uuid(),
        clean_opt(new.user_agent),
        new.now,
        new.expires_at,
    )
    .execute(&mut *conn)
    .await?;
    insert_token(conn, id, new.hash, 0, new.now).await?;
    Ok(SessionId::from_uuid(id))
}

/// Gives a refresh token for a new one. To be called in a transaction, which is to be committed whatever comes out.
///
/// # Errors
/// The database fails.
pub async fn exchange(conn: &mut PgConnection, exchange: Exchange<'_>) -> Result<Exchanged> {
    // The session is locked first: what two tabs and a thief do at once happens one after another.
    let found = sqlx::query!(
        "select s.id, s.person_id, s.revoked_at, s.expires_at, s.last_used_at from sessions s \
         where s.id = (select session_id from session_tokens where hash = $1) for update",
        exchange.old,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let now = exchange.now;
    let Some(found) =
        found.filter(|row| row.revoked_at.is_none() && row.expires_at > now && row.last_used_at + exchange.idle > now)
    else {
        return Ok(Exchanged::Unknown);
    };
    let (session, person) = (SessionId::from_uuid(found.id), PersonId::from_uuid(found.person_id));
    let token = sqlx::query!("select generation, used_at from session_tokens where hash = $1", exchange.old)
        .fetch_one(&mut *conn)
        .await?;
    let next = token.generation + 1;
    let siblings = sqlx::query_scalar!(
        "select count(*) as \"count!\" from session_tokens where session_id = $1 and generation = $2",
        found.id,
        next,
    )
    .fetch_one(&mut *conn)
    .await?;
    if token.used_at.is_some_and(|at| at + exchange.grace < now) || siblings >= MAX_SIBLINGS {
        revoke(conn, session, "a used refresh token came again", now).await?;
        return Ok(Exchanged::Reused { session, person });
    }
    sqlx::query!(
        "update session_tokens set used_at = $3 where session_id = $1 and generation <= $2 and used_at is null",
        found.id,
        token.generation,
        now,
    )
    .execute(&mut *conn)
    .await?;
    insert_token(conn, found.id, exchange.new, next, now).await?;
    sqlx::query!("update sessions set last_used_at = $2 where id = $1", found.id, now).execute(conn).await?;
    Ok(Exchanged::Done { session, person })
}

async fn insert_token(
    conn: &mut PgConnection,
    session: Uuid,
    hash: &[u8],
    generation: i32,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "insert into session_tokens (hash, session_id, generation, issued_at) values ($1, $2, $3, $4)",
        hash,
        session,
        generation,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The session of a refresh token that is still good for something.
///
/// # Errors
/// The database fails.
pub async fn by_token(conn: &mut PgConnection, hash: &[u8]) -> Result<Option<(SessionId, PersonId)>> {
    let row = sqlx::query!(
        "select s.id, s.person_id from sessions s join session_tokens t on t.session_id = s.id \
         where t.hash = $1 and s.revoked_at is null",
        hash
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (SessionId::from_uuid(row.id), PersonId::from_uuid(row.person_id))))
}

/// Ends a session. Says whether it was still going on.
///
/// # Errors
/// The database fails.
pub async fn revoke(conn: &mut PgConnection, session: SessionId, why: &str, now: DateTime<Utc>) -> Result<bool> {
    let ended = sqlx::query!(
        "update sessions set revoked_at = $2, revoked_why = $3 where id = $1 and revoked_at is null",
        session.as_uuid(),
        now,
        why,
    )
    .execute(conn)
    .await?;
    Ok(ended.rows_affected() > 0)
}

/// Ends one of somebody's own sessions. Says whether there was such a one.
///
/// # Errors
/// The database fails.
pub async fn revoke_own(
    conn: &mut PgConnection,
    (person, session): (PersonId, SessionId),
    why: &str,
    now: DateTime<Utc>,
) -> Result<bool> {
    let ended = sqlx::query!(
        "update sessions set revoked_at = $3, revoked_why = $4 where id = $1 and person_id = $2 and revoked_at is null",
        session.as_uuid(),
        person.as_uuid(),
        now,
        why,
    )
    .execute(conn)
    .await?;
    Ok(ended.rows_affected() > 0)
}

/// Ends all sessions of somebody; says how many.
///
/// # Errors
/// The database fails.
pub async fn revoke_all(conn: &mut PgConnection, person: PersonId, why: &str, now: DateTime<Utc>) -> Result<u64> {
    let ended = sqlx::query!(
        "update sessions set revoked_at = $2, revoked_why = $3 where person_id = $1 and revoked_at is null",
        person.as_uuid(),
        now,
        why,
    )
    .execute(conn)
    .await?;
    Ok(ended.rows_affected())
}

/// The sessions of somebody that are going on, the one used last first.
///
/// # Errors
/// The database fails.
pub async fn list(conn: &mut PgConnection, person: PersonId, now: DateTime<Utc>) -> Result<Vec<Session>> {
    let rows = sqlx::query!(
        "select id, user_agent, created_at, last_used_at, expires_at from sessions \
         where person_id = $1 and revoked_at is null and expires_at > $2 order by last_used_at desc, id desc limit 200",
        person.as_uuid(),
        now,
    )
    .fetch_all(conn)
    .await?;
    let session = |id, user_agent, [created_at, last_used_at, expires_at]: [DateTime<Utc>; 3]| Session {
        id: SessionId::from_uuid(id),
        user_agent,
        created_at,
        last_used_at,
        expires_at,
    };
    Ok(rows
        .into_iter()
        .map(|row| session(row.id, row.user_agent, [row.created_at, row.last_used_at, row.expires_at]))
        .collect())
}

/// Takes the forge's answer to a sign-in; says whether it came for the first time.
///
/// # Errors
/// The database fails.
pub async fn spend_sign_in(conn: &mut PgConnection, state_hash: &[u8], expires_at: DateTime<Utc>) -> Result<bool> {
    let taken = sqlx::query!(
        "insert into spent_sign_ins (state_hash, expires_at) values ($1, $2) on conflict do nothing",
        state_hash,
        expires_at,
    )
    .execute(conn)
    .await?;
    Ok(taken.rows_affected() > 0)
}

/// Removes what nobody needs: answers that are too old to be taken anyway, and sessions that ended before `keep_from`.
///
/// # Errors
/// The database fails.
pub async fn forget(conn: &mut PgConnection, now: DateTime<Utc>, keep_from: DateTime<Utc>) -> Result<u64> {
    let answers = sqlx::query!("delete from spent_sign_ins where expires_at < $1", now).execute(&mut *conn).await?;
    let sessions = sqlx::query!("delete from sessions where expires_at < $1", keep_from).execute(conn).await?;
    Ok(answers.rows_affected() + sessions.rows_affected())
}
