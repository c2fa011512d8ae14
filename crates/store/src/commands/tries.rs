//! Tries to deliver a command, and how they end.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::ids::CommandId;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Command, Holder, Row, lease::lease_end};
use crate::{Result, convert::clean};

/// Takes or renews the lease as [`lease`](super::lease()) does, and announces a try of the one command that waits as [`begin_try`] does, in one
/// statement; gives the command as it was before. None if nothing waits or more than one, if it is not due, if it is a start from
/// before `starts_since`, or if somebody else has the lease: ask [`lease`](super::lease()) and [`pending`](super::pending) then. What was committed while this
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

/// How a try failed.
#[derive(Clone, Copy, Debug)]
pub struct FailedTry<'a> {
    /// Why.
    pub error: &'a str,
    /// Whether the engine may have the command all the same: it was asked, and no answer came.
    pub in_doubt: bool,
    /// When the next one may be made.
    pub next_try_at: DateTime<Utc>,
}

/// Notes that a try failed. What earlier tries left in doubt stays so.
///
/// # Errors
/// The database fails.
pub async fn mark_failed_try(conn: &mut PgConnection, id: CommandId, failed: FailedTry<'_>) -> Result<()> {
    sqlx::query!(
        "update engine_commands set under_way = false, in_doubt = in_doubt or $2, last_error = $3, next_try_at = $4 \
         where id = $1 and state = 'pending' and (select set_config('synchronous_commit', 'off', true)) = 'off'",
        id.as_uuid(),
        failed.in_doubt,
        &clean(failed.error),
        failed.next_try_at,
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
