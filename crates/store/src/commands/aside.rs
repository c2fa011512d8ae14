//! Commands that are never delivered.

use domain::ids::CommandId;
use sqlx::PgConnection;

use crate::{CommandKind, Result, convert::clean};

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
