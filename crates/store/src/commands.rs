//! The outbox: commands for the workflow engine, delivered in order for each workflow, one at a time, under a lease.
//!
//! Who commits a command tries [`lease`]. Whoever holds it takes [`pending`] in order, announces each try with
//! [`begin_try`], and tells its end. [`release`] says whether more came meanwhile, so that nothing waits for the sweeper
//! when all goes well. An owner is known by its UUID alone and may take its own lease again: each task that delivers needs a
//! UUID of its own.
//!
//! # What is on the disk when
//!
//! A command itself, [`begin_try`], [`begin_lone_try`] and every end that is not a success are on the disk before their call returns. The lease, its
//! return, the end of a delivered command and a failed try are not: they set `synchronous_commit = off` for their
//! transaction, which therefore must be theirs alone, and are on the disk within a second. What a crash of Postgres takes
//! away so is always the newest, since the log is written in order; and each of them only *ends* something:
//!
//! - A lost lease: whoever held it finds that out from [`begin_try`], which is refused without it. One that was announced under it
//!   was written later, and so has kept it.
//! - A lost return: the lease runs out by itself, and the sweeper goes on.
//! - A lost end, or a lost failure: the command is under way, so the next try is in doubt, as after a crash of the dispatcher at the
//!   same place. The engine knows the request id and does nothing twice.
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::ids::{Attempt, CommandId, ConnectionId, ProjectId, RunId};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    CommandKind, CommandState, Result, StoreError,
    convert::{self, attempt_number, clean, clean_json},
};

/// What a command drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// An attempt of a run.
    Run(RunId, Attempt),
    /// The connecting of a repository.
    Connection(ConnectionId),
    /// The deletion of a project.
    Project(ProjectId),
}

impl About {
    const fn run(self) -> Option<RunId> {
        match self {
            Self::Run(run, _) => Some(run),
            Self::Connection(_) | Self::Project(_) => None,
        }
    }

    const fn attempt(self) -> Option<Attempt> {
        match self {
            Self::Run(_, attempt) => Some(attempt),
            Self::Connection(_) | Self::Project(_) => None,
        }
    }

    const fn connection(self) -> Option<ConnectionId> {
        match self {
            Self::Run(..) | Self::Project(_) => None,
            Self::Connection(connection) => Some(connection),
        }
    }

    const fn project(self) -> Option<ProjectId> {
        match self {
            Self::Run(..) | Self::Connection(_) => None,
            Self::Project(project) => Some(project),
        }
    }
}

/// A command to be delivered.
#[derive(Clone, Debug)]
pub struct NewCommand<'a> {
    /// The workflow that it is for.
    pub workflow_id: &'a str,
    /// What it is.
    pub kind: CommandKind,
    /// What it drives.
    pub about: About,
    /// Name of the signal, or type of the workflow that is started.
    pub name: Option<&'a str>,
    /// What goes with it. No secrets.
    pub payload: Value,
    /// Now.
    pub now: DateTime<Utc>,
}

/// A command as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Its id.
    pub id: CommandId,
    /// By which the engine knows it when it comes twice.
    pub request_id: Uuid,
    /// The workflow that it is for.
    pub workflow_id: String,
    /// Its place in the order.
    pub seq: i64,
    /// What it is.
    pub kind: CommandKind,
    /// What it drives.
    pub about: About,
    /// Name of the signal, or type of the workflow that is started.
    pub name: Option<String>,
    /// What goes with it.
    pub payload: Value,
    /// Where it is.
    pub state: CommandState,
    /// How often its delivery was begun.
    pub tries: u32,
    /// Before then it should not be tried again, nor anything behind it.
    pub next_try_at: DateTime<Utc>,
    /// What the last try failed with.
    pub last_error: Option<String>,
    /// When it was stored.
    pub created_at: DateTime<Utc>,
}

struct Row {
    id: Uuid,
    workflow_id: String,
    seq: i64,
    kind: String,
    run_id: Option<Uuid>,
    attempt: Option<i32>,
    connection_id: Option<Uuid>,
    project_id: Option<Uuid>,
    name: Option<String>,
    payload: Value,
    state: String,
    tries: i32,
    next_try_at: DateTime<Utc>,
    last_error: Option<String>,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for Command {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        let about = match (row.run_id, row.attempt, row.connection_id, row.project_id) {
            (Some(run), Some(attempt), None, None) => {
                About::Run(RunId::from_uuid(run), convert::attempt("engine_commands", attempt)?)
            }
            (None, None, None, Some(project)) => About::Project(ProjectId::from_uuid(project)),
            (None, None, Some(connection), None) => About::Connection(ConnectionId::from_uuid(connection)),
            _ => return Err(convert::corrupt("engine_commands", "run_id", "it is about one thing")),
        };
        Ok(Self {
            id: CommandId::from_uuid(row.id),
            request_id: row.id,
            workflow_id: row.workflow_id,
            seq: row.seq,
            kind: convert::parse("engine_commands", "kind", &row.kind)?,
            about,
            name: row.name,
            payload: row.payload,
            state: convert::parse("engine_commands", "state", &row.state)?,
            tries: convert::unsigned("engine_commands", "tries", row.tries)?,
            next_try_at: row.next_try_at,
            last_error: row.last_error,
            created_at: row.created_at,
        })
    }
}

/// The columns of [`Row`], written once.
macro_rules! select_commands {
    ($tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            "select id, workflow_id, seq, kind, run_id, attempt, connection_id, project_id, name, payload, state, tries, next_try_at, \
             last_error, created_at from engine_commands " + $tail
            $(, $argument)*
        )
    };
}

/// Stores a command behind all others for its workflow. The order is that of the commits: who enqueues for the same
/// workflow waits until this transaction ends.
///
/// # Errors
/// The run or the connection is not there, or the database fails.
pub async fn enqueue(conn: &mut PgConnection, new: NewCommand<'_>) -> Result<CommandId> {
    let id = sqlx::query_scalar!(
        "with place as ( \
             insert into engine_queues (workflow_id, next_seq) values ($2, 2) \
             on conflict (workflow_id) do update set next_seq = engine_queues.next_seq + 1 \
             returning next_seq - 1 as seq) \
         insert into engine_commands \
             (id, workflow_id, seq, kind, run_id, attempt, connection_id, project_id, name, payload, next_try_at, created_at) \
         select $1, $2, place.seq, $3, $4, $5, $6, $10, $7, $8, $9, $9 from place returning id",
        Uuid::now_v7(),
        new.workflow_id,
        new.kind.as_str(),
        new.about.run().map(RunId::as_uuid),
        new.about.attempt().map(attempt_number),
        new.about.connection().map(ConnectionId::as_uuid),
        new.name,
        &*clean_json(&new.payload),
        new.now,
        new.about.project().map(ProjectId::as_uuid),
    )
    .fetch_one(conn)
    .await?;
    Ok(CommandId::from_uuid(id))
}

fn lease_end(now: DateTime<Utc>, span: Duration) -> DateTime<Utc> {
    let span = chrono::TimeDelta::from_std(span).ok();
    span.and_then(|span| now.checked_add_signed(span)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Takes or renews the lease on a workflow's queue. False if somebody else has it, or nothing was ever enqueued.
///
/// # Errors
/// The database fails.
pub async fn lease(
    conn: &mut PgConnection,
    workflow_id: &str,
    owner: Uuid,
    now: DateTime<Utc>,
    span: Duration,
) -> Result<bool> {
    let done = sqlx::query!(
        "update engine_queues set lease_owner = $2, lease_until = $4 \
         where workflow_id = $1 and (lease_owner is null or lease_owner = $2 or lease_until <= $3) \
             and (select set_config('synchronous_commit', 'off', true)) = 'off'",
        workflow_id,
        owner,
        now,
        lease_end(now, span),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Who delivers for a workflow.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'a> {
    /// The workflow whose queue it is.
    pub workflow_id: &'a str,
    /// Its own name.
    pub owner: Uuid,
}

/// Takes or renews the lease as [`lease`] does, and announces a try of the one command that waits as [`begin_try`] does, in one
/// statement; gives the command as it was before. None if nothing waits or more than one, if it is not due, if it is a start from
/// before `starts_since`, or if somebody else has the lease: ask [`lease`] and [`pending`] then. What was committed while this
/// waited is not seen here; who gives the lease back is told of it.
///
/// # Errors
/// The database fails.
pub async fn begin_lone_try(
    conn: &mut PgConnection,
    holder: Holder<'_>,
    now: DateTime<Utc>,
    span: Duration,
    starts_since: DateTime<Utc>,
) -> Result<Option<Command>> {
    sqlx::query_as!(
        Row,
        "with held as ( \
             update engine_queues set lease_owner = $2, lease_until = $4 \
             where workflow_id = $1 and (lease_owner is null or lease_owner = $2 or lease_until <= $3) \
             returning workflow_id), \
         waiting as ( \
             select id, count(*) over () as many from engine_commands where workflow_id = $1 and state = 'pending' limit 2) \
         update engine_commands c set tries = c.tries + 1, in_doubt = c.in_doubt or c.under_way, under_way = true \
         from waiting w where c.workflow_id = $1 and c.id = w.id and w.many = 1 and c.state = 'pending' and c.next_try_at <= $3 \
             and (c.kind <> 'start' or c.created_at >= $5) and exists (select from held) \
         returning c.id, c.workflow_id, c.seq, c.kind, c.run_id, c.attempt, c.connection_id, c.project_id, c.name, c.payload, c.state, \
             c.tries - 1 as \"tries!\", c.next_try_at, c.last_error, c.created_at",
        holder.workflow_id,
        holder.owner,
        now,
        lease_end(now, span),
        starts_since,
    )
    .fetch_optional(conn)
    .await?
    .map(Command::try_from)
    .transpose()
}

/// Notes that the engine has the command, as [`mark_done`] does, and gives the lease back, in one statement. True if something was
/// enqueued behind the command; false also if the lease was lost, and somebody else delivers that.
///
/// # Errors
/// The database fails.
pub async fn done_and_release(conn: &mut PgConnection, command: &Command, owner: Uuid) -> Result<bool> {
    // Who enqueues counts up under the row's lock, so the count that comes back is the newest.
    let next_seq = sqlx::query_scalar!(
        "with done as ( \
             update engine_commands set state = 'done', under_way = false, last_error = null, ended_at = now() \
             where id = $1 and state = 'pending') \
         update engine_queues set lease_owner = null, lease_until = null \
         where workflow_id = $2 and lease_owner = $3 and (select set_config('synchronous_commit', 'off', true)) = 'off' \
         returning next_seq",
        command.id.as_uuid(),
        command.workflow_id,
        owner,
    )
    .fetch_optional(conn)
    .await?;
    Ok(next_seq.is_some_and(|next_seq| next_seq > command.seq + 1))
}

/// Gives the lease back. True if commands are pending: they came while the lease was held, or wait for their next try.
/// Must stand alone or be committed at once. A command that is committed later finds the lease free.
///
/// # Errors
/// The database fails.
pub async fn release(conn: &mut PgConnection, workflow_id: &str, owner: Uuid) -> Result<bool> {
    // Waits for whoever is enqueueing; the statement after it sees what they enqueued.
    sqlx::query!(
        "update engine_queues set lease_owner = null, lease_until = null where workflow_id = $1 and lease_owner = $2 \
             and (select set_config('synchronous_commit', 'off', true)) = 'off'",
        workflow_id,
        owner,
    )
    .execute(&mut *conn)
    .await?;
    Ok(sqlx::query_scalar!(
        "select exists (select from engine_commands where workflow_id = $1 and state = 'pending') as \"more!\"",
        workflow_id
    )
    .fetch_one(conn)
    .await?)
}

/// What is to be delivered, in order. Nothing may overtake the first, even if that is not due yet.
///
/// # Errors
/// The database fails.
pub async fn pending(conn: &mut PgConnection, workflow_id: &str, limit: u32) -> Result<Vec<Command>> {
    select_commands!(
        "where workflow_id = $1 and state = 'pending' order by seq limit $2",
        workflow_id,
        i64::from(limit)
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(Command::try_from)
    .collect()
}

/// The command of this id.
///
/// # Errors
/// It is not there, or the database fails.
pub async fn get(conn: &mut PgConnection, id: CommandId) -> Result<Command> {
    select_commands!("where id = $1", id.as_uuid())
        .fetch_optional(conn)
        .await?
        .ok_or_else(|| StoreError::missing("command", &id))?
        .try_into()
}

/// Every command of a run in the order of their delivery.
///
/// # Errors
/// The database fails.
pub async fn list_for_run(conn: &mut PgConnection, run: RunId) -> Result<Vec<Command>> {
    select_commands!("where run_id = $1 order by attempt, seq", run.as_uuid())
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(Command::try_from)
        .collect()
}

/// Announces a try; to be committed before the engine is called. False if it must not be made: the lease is lost, or the
/// command is no longer pending.
///
/// # Errors
/// The database fails.
pub async fn begin_try(conn: &mut PgConnection, id: CommandId, owner: Uuid, now: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query!(
        "update engine_commands c set tries = c.tries + 1, in_doubt = c.in_doubt or c.under_way, under_way = true \
         from engine_queues q where c.id = $1 and c.state = 'pending' and q.workflow_id = c.workflow_id \
             and q.lease_owner = $2 and q.lease_until > $3",
        id.as_uuid(),
        owner,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Notes that the engine has the command.
///
/// # Errors
/// The database fails.
pub async fn mark_done(conn: &mut PgConnection, id: CommandId) -> Result<()> {
    sqlx::query!(
        "update engine_commands set state = 'done', under_way = false, last_error = null, ended_at = now() \
         where id = $1 and state = 'pending' and (select set_config('synchronous_commit', 'off', true)) = 'off'",
        id.as_uuid()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that a try failed, and that the engine may have the command all the same: no answer came.
///
/// # Errors
/// The database fails.
pub async fn mark_failed_try(
    conn: &mut PgConnection,
    id: CommandId,
    error: &str,
    next_try_at: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "update engine_commands set under_way = false, in_doubt = true, last_error = $2, next_try_at = $3 \
         where id = $1 and state = 'pending' and (select set_config('synchronous_commit', 'off', true)) = 'off'",
        id.as_uuid(),
        &clean(error),
        next_try_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that a try failed before the engine could have seen it: nothing was connected.
///
/// # Errors
/// The database fails.
pub async fn mark_undelivered_try(
    conn: &mut PgConnection,
    id: CommandId,
    error: &str,
    next_try_at: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "update engine_commands set under_way = false, last_error = $2, next_try_at = $3 \
         where id = $1 and state = 'pending' and (select set_config('synchronous_commit', 'off', true)) = 'off'",
        id.as_uuid(),
        &clean(error),
        next_try_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that the engine will never take the command, for instance because the workflow has ended. What is behind it goes on.
///
/// # Errors
/// The database fails.
pub async fn mark_failed(conn: &mut PgConnection, id: CommandId, error: &str) -> Result<()> {
    sqlx::query!(
        "update engine_commands set state = 'failed', under_way = false, last_error = $2, ended_at = now() \
         where id = $1 and state = 'pending'",
        id.as_uuid(),
        &clean(error),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Sets a command aside that is too old to be delivered blindly. Behind a start everything else is dropped with it. False
/// if it was no longer pending.
///
/// # Errors
/// The database fails.
pub async fn mark_stale(conn: &mut PgConnection, id: CommandId, reason: &str) -> Result<bool> {
    let Some(head) = sqlx::query!(
        "update engine_commands set state = 'stale', under_way = false, last_error = $2, ended_at = now() \
         where id = $1 and state = 'pending' returning workflow_id, seq, kind",
        id.as_uuid(),
        &clean(reason),
    )
    .fetch_optional(&mut *conn)
    .await?
    else {
        return Ok(false);
    };
    if head.kind == CommandKind::Start.as_str() {
        drop_from(conn, &head.workflow_id, head.seq).await?;
    }
    Ok(true)
}

/// Drops a start that the engine certainly does not have, and everything behind it. The caller holds the lease, so that no
/// try begins meanwhile. False if there is no such start: it was delivered, or may have been.
///
/// # Errors
/// The database fails.
pub async fn drop_pending_start(conn: &mut PgConnection, workflow_id: &str) -> Result<bool> {
    // Who enqueues waits, so that nothing is left behind the dropped start.
    sqlx::query!("select next_seq from engine_queues where workflow_id = $1 for update", workflow_id)
        .fetch_optional(&mut *conn)
        .await?;
    let start = sqlx::query_scalar!(
        "select seq from engine_commands where workflow_id = $1 and kind = 'start' and state = 'pending' \
         and not under_way and not in_doubt order by seq limit 1",
        workflow_id
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(seq) = start else { return Ok(false) };
    drop_from(conn, workflow_id, seq).await?;
    Ok(true)
}

async fn drop_from(conn: &mut PgConnection, workflow_id: &str, seq: i64) -> Result<()> {
    sqlx::query!(
        "update engine_commands set state = 'dropped', ended_at = now() \
         where workflow_id = $1 and state = 'pending' and seq >= $2",
        workflow_id,
        seq,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// For the sweeper: workflows whose next command was stored before `older_than`, is due, and is not being delivered.
///
/// # Errors
/// The database fails.
pub async fn workflows_with_pending(
    conn: &mut PgConnection,
    older_than: DateTime<Utc>,
    now: DateTime<Utc>,
    limit: u32,
) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        // The heads of all queues at once: whatever the planner thinks of how many wait, no queue is gone through for another's sake.
        "select head.workflow_id as \"workflow_id!\" from ( \
             select distinct on (workflow_id) workflow_id, created_at, next_try_at from engine_commands \
             where state = 'pending' order by workflow_id, seq \
         ) head join engine_queues q on q.workflow_id = head.workflow_id \
         where head.created_at <= $1 and head.next_try_at <= $2 and (q.lease_until is null or q.lease_until <= $2) \
         order by head.next_try_at limit $3",
        older_than,
        now,
        i64::from(limit),
    )
    .fetch_all(conn)
    .await?)
}
