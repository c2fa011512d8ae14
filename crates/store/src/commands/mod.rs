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

mod aside;
mod lease;
mod tries;

use chrono::{DateTime, Utc};
use domain::ids::{Attempt, CommandId, ConnectionId, ProjectId, RunId};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

pub use self::{
    aside::{drop_pending_start, mark_stale},
    lease::{Holder, done_and_release, lease, release, workflows_with_pending},
    tries::{FailedTry, begin_lone_try, begin_try, mark_done, mark_failed, mark_failed_try},
};
use crate::{
    CommandKind, CommandState, Result, StoreError,
    convert::{self, attempt_number, clean_json},
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
