//! Who delivers for a workflow, and for which one nobody does.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Command;
use crate::Result;

/// Who delivers for a workflow.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'a> {
    /// The workflow whose queue it is.
    pub workflow_id: &'a str,
    /// Its own name.
    pub owner: Uuid,
}

pub(super) fn lease_end(now: DateTime<Utc>, span: Duration) -> DateTime<Utc> {
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

/// Notes that the engine has the command, as [`mark_done`](super::mark_done) does, and gives the lease back, in one statement. True if something was
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
