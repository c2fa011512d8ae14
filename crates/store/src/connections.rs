//! Requests about the connection of a repository, and how far they are: to make it, to look at it, to renew its secret, to end it.

use chrono::{DateTime, Utc};
use domain::{
    connection::{ConnectionPurpose, ConnectionState, ConnectionStep},
    ids::{ConnectionId, CredentialId, HookId, ProjectId, RepositoryId},
    rights::RightCheck,
};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result, StoreError,
    convert::{self, clean},
    credentials::SealedBox,
};

/// A request as it is stored.
#[derive(Clone, PartialEq)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// What it is for.
    pub purpose: ConnectionPurpose,
    /// The project that the repository is to belong to.
    pub project: ProjectId,
    /// The credential to be used; none only for detaching a repository that has none.
    pub credential: Option<CredentialId>,
    /// Login of the owner, as it was asked for.
    pub owner: String,
    /// Name of the repository, as it was asked for.
    pub name: String,
    /// The repository, once it is known.
    pub repository: Option<RepositoryId>,
    /// The hook to be made or changed; none for a check, and for detaching.
    pub hook: Option<PlannedHook>,
    /// Where it is.
    pub state: ConnectionState,
    /// The step that was begun last.
    pub step: Option<ConnectionStep>,
    /// What it waits for, or how it ended.
    pub message: Option<String>,
    /// What the credential may do; none before that was looked at.
    pub rights: Option<Vec<RightCheck>>,
    /// Who asked, and why, where a reason is given.
    pub wish: ConnectionWish,
}

/// Who asked for something to be done to a connection, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionWish {
    /// Their login and number on the forge; none: the command line.
    pub by: Option<(String, i64)>,
    /// Why.
    pub reason: Option<String>,
    /// Whether the runs at work in the repository are asked to end.
    pub cancel_runs: bool,
}

/// A webhook that is to be made, or to be given this secret.
#[derive(Clone, PartialEq, Eq)]
pub struct PlannedHook {
    /// Our id of it. The secret under the gateway's key is bound to it.
    pub id: HookId,
    /// Where it delivers to.
    pub url: String,
    /// The secret, sealed under the gateway's key.
    pub secret: Vec<u8>,
    /// The copy that the worker opens, and the key it is sealed for; none once the hook exists.
    pub copy: Option<(String, Vec<u8>)>,
}

/// A request to be stored.
#[derive(Clone, Copy)]
pub struct NewConnection<'a> {
    /// Its id.
    pub id: ConnectionId,
    /// What it is for.
    pub purpose: ConnectionPurpose,
    /// The project that the repository is to belong to.
    pub project: ProjectId,
    /// The credential to be used.
    pub credential: Option<CredentialId>,
    /// Login of the owner.
    pub owner: &'a str,
    /// Name of the repository.
    pub name: &'a str,
    /// The repository, if it is known.
    pub repository: Option<RepositoryId>,
    /// The hook to be made or changed; none for a check, and for detaching.
    pub hook: Option<&'a PlannedHook>,
    /// Who asks, and why.
    pub wish: &'a ConnectionWish,
    /// Now.
    pub now: DateTime<Utc>,
}

struct Row {
    id: Uuid,
    purpose: String,
    project_id: Uuid,
    credential_id: Option<Uuid>,
    owner: String,
    name: String,
    repository_id: Option<Uuid>,
    hook_id: Option<Uuid>,
    hook_url: Option<String>,
    hook_secret: Option<Vec<u8>>,
    hook_key_id: Option<String>,
    hook_secret_sealed: Option<Vec<u8>>,
    state: String,
    step: Option<String>,
    message: Option<String>,
    rights: Option<Value>,
    asked_by_login: Option<String>,
    asked_by_id: Option<i64>,
    reason: Option<String>,
    cancel_runs: bool,
}

impl TryFrom<Row> for Connection {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        let hook = match (row.hook_id, row.hook_url, row.hook_secret) {
            (Some(id), Some(url), Some(secret)) => Some(PlannedHook {
                id: HookId::from_uuid(id),
                url,
                secret,
                copy: row.hook_key_id.zip(row.hook_secret_sealed),
            }),
            _ => None,
        };
        Ok(Self {
            id: ConnectionId::from_uuid(row.id),
            purpose: convert::parse("connections", "purpose", &row.purpose)?,
            project: ProjectId::from_uuid(row.project_id),
            credential: row.credential_id.map(CredentialId::from_uuid),
            owner: row.owner,
            name: row.name,
            repository: row.repository_id.map(RepositoryId::from_uuid),
            hook,
            state: convert::parse("connections", "state", &row.state)?,
            step: convert::parse_opt("connections", "step", row.step.as_deref())?,
            message: row.message,
            rights: row.rights.map(|rights| convert::json("connections", "rights", rights)).transpose()?,
            wish: ConnectionWish {
                by: row.asked_by_login.zip(row.asked_by_id),
                reason: row.reason,
                cancel_runs: row.cancel_runs,
            },
        })
    }
}

/// The columns of [`Row`], written once.
macro_rules! select_connections {
    ($tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            "select id, purpose, project_id, credential_id, owner, name, repository_id, hook_id, hook_url, hook_secret, \
             hook_key_id, hook_secret_sealed, state, step, message, rights, asked_by_login, asked_by_id, reason, cancel_runs \
             from connections " + $tail
            $(, $argument)*
        )
    };
}

/// Stores a request.
///
/// # Errors
/// Something is being done to that repository already ([`StoreError::Conflict`]), or the database fails.
pub async fn insert(conn: &mut PgConnection, new: NewConnection<'_>) -> Result<()> {
    let copy = new.hook.and_then(|hook| hook.copy.as_ref());
    let by = new.wish.by.as_ref();
    sqlx::query!(
        "insert into connections (id, purpose, project_id, credential_id, owner, name, repository_id, hook_id, hook_url, \
             hook_secret, hook_key_id, hook_secret_sealed, created_at, updated_at, asked_by_login, asked_by_id, reason, \
             cancel_runs) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13, $14, $15, $16, $17)",
        new.id.as_uuid(),
        new.purpose.as_str(),
        new.project.as_uuid(),
        new.credential.map(CredentialId::as_uuid),
        new.owner,
        new.name,
        new.repository.map(RepositoryId::as_uuid),
        new.hook.map(|hook| hook.id.as_uuid()),
        new.hook.map(|hook| hook.url.as_str()),
        new.hook.map(|hook| hook.secret.as_slice()),
        copy.map(|(key_id, _)| key_id.as_str()),
        copy.map(|(_, sealed)| sealed.as_slice()),
        new.now,
        by.map(|(login, _)| login.as_str()),
        by.map(|(_, id)| *id),
        convert::clean_opt(new.wish.reason.as_deref()),
        new.wish.cancel_runs,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The request of this id.
///
/// # Errors
/// There is none, or the database fails.
pub async fn get(conn: &mut PgConnection, id: ConnectionId) -> Result<Connection> {
    select_connections!("where id = $1", id.as_uuid())
        .fetch_optional(conn)
        .await?
        .ok_or_else(|| StoreError::missing("connection", &id))?
        .try_into()
}

/// What is being done to the repository of that name, looking apart.
///
/// # Errors
/// The database fails.
pub async fn under_way(conn: &mut PgConnection, owner: &str, name: &str) -> Result<Option<Connection>> {
    select_connections!(
        "where lower(owner) = lower($1) and lower(name) = lower($2) and purpose <> 'check' \
         and state in ('waiting', 'working')",
        owner,
        name,
    )
    .fetch_optional(conn)
    .await?
    .map(Connection::try_from)
    .transpose()
}

/// Notes that a step has begun. False if the request has ended.
///
/// # Errors
/// The database fails.
pub async fn begin_step(
    conn: &mut PgConnection,
    id: ConnectionId,
    step: ConnectionStep,
    now: DateTime<Utc>,
) -> Result<bool> {
    let done = sqlx::query!(
        "update connections set state = 'working', step = $2, updated_at = $3, \
             message = case when step = $2 then message end \
         where id = $1 and state in ('waiting', 'working')",
        id.as_uuid(),
        step.as_str(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Notes what it waits for.
///
/// # Errors
/// The database fails.
pub async fn note(conn: &mut PgConnection, id: ConnectionId, message: &str, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update connections set message = $2, updated_at = $3 where id = $1 and state in ('waiting', 'working')",
        id.as_uuid(),
        &clean(message),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Stores what the credential may do.
///
/// # Errors
/// The database fails.
pub async fn set_rights(
    conn: &mut PgConnection,
    id: ConnectionId,
    rights: &[RightCheck],
    now: DateTime<Utc>,
) -> Result<()> {
    let rights = convert::to_json("connections", "rights", &rights)?;
    sqlx::query!("update connections set rights = $2, updated_at = $3 where id = $1", id.as_uuid(), rights, now)
        .execute(conn)
        .await?;
    Ok(())
}

/// Notes which repository it is about.
///
/// # Errors
/// The database fails.
pub async fn set_repository(
    conn: &mut PgConnection,
    id: ConnectionId,
    repository: RepositoryId,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "update connections set repository_id = $2, updated_at = $3 where id = $1",
        id.as_uuid(),
        repository.as_uuid(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes the worker's copy of the hook's secret.
///
/// # Errors
/// The database fails.
pub async fn forget_copy(conn: &mut PgConnection, id: ConnectionId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update connections set hook_key_id = null, hook_secret_sealed = null, updated_at = $2 where id = $1",
        id.as_uuid(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that it ended well.
///
/// # Errors
/// The database fails.
pub async fn complete(conn: &mut PgConnection, id: ConnectionId, message: &str, now: DateTime<Utc>) -> Result<bool> {
    end(conn, id, (ConnectionState::Done, message), now).await
}

/// Notes that it ended otherwise. The first end counts.
///
/// # Errors
/// The database fails.
pub async fn fail(conn: &mut PgConnection, id: ConnectionId, message: &str, now: DateTime<Utc>) -> Result<bool> {
    end(conn, id, (ConnectionState::Failed, message), now).await
}

async fn end(
    conn: &mut PgConnection,
    id: ConnectionId,
    (state, message): (ConnectionState, &str),
    now: DateTime<Utc>,
) -> Result<bool> {
    let done = sqlx::query!(
        "update connections set state = $2, message = $3, updated_at = $4, finished_at = $4, hook_key_id = null, \
             hook_secret_sealed = null \
         where id = $1 and state in ('waiting', 'working')",
        id.as_uuid(),
        state.as_str(),
        &clean(message),
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// The copies of secrets that are sealed for another key than this one.
///
/// # Errors
/// The database fails.
pub async fn sealed_for_others(conn: &mut PgConnection, key_id: &str) -> Result<Vec<SealedBox<ConnectionId>>> {
    let rows = sqlx::query!(
        "select id, hook_key_id as \"key_id!\", hook_secret_sealed as \"sealed!\" from connections \
         where hook_key_id is not null and hook_key_id <> $1 order by id",
        key_id
    )
    .fetch_all(conn)
    .await?;
    let boxes = rows.into_iter().map(|row| SealedBox {
        id: ConnectionId::from_uuid(row.id),
        key_id: row.key_id,
        sealed: row.sealed,
    });
    Ok(boxes.collect())
}

/// Puts a copy that was sealed anew in the place of `old`. False if it is gone, or somebody else was first.
///
/// # Errors
/// The database fails.
pub async fn reseal(
    conn: &mut PgConnection,
    old: &SealedBox<ConnectionId>,
    key_id: &str,
    sealed: &[u8],
) -> Result<bool> {
    let done = sqlx::query!(
        "update connections set hook_key_id = $3, hook_secret_sealed = $4 where id = $1 and hook_key_id = $2",
        old.id.as_uuid(),
        old.key_id,
        key_id,
        sealed,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Requests of before then that have not ended.
///
/// # Errors
/// The database fails.
pub async fn unfinished(conn: &mut PgConnection, before: DateTime<Utc>) -> Result<Vec<ConnectionId>> {
    let ids = sqlx::query_scalar!(
        "select id from connections where state in ('waiting', 'working') and updated_at < $1 order by id limit 100",
        before
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(ConnectionId::from_uuid).collect())
}
