//! Model gateways at work, so that one that is gone is noticed by the others.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Result;

/// One process of the model gateway, from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModelGatewayId(pub Uuid);

impl ModelGatewayId {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Default for ModelGatewayId {
    fn default() -> Self {
        Self::new()
    }
}

/// Says that a gateway is at work.
///
/// # Errors
/// The database fails.
pub async fn seen(conn: &mut PgConnection, id: ModelGatewayId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "insert into model_gateways (id, seen_at) values ($1, $2) \
         on conflict (id) do update set seen_at = greatest(model_gateways.seen_at, excluded.seen_at)",
        id.0,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets gateways that were not seen since then and have nothing under way; says how many.
///
/// # Errors
/// The database fails.
pub async fn forget(conn: &mut PgConnection, seen_before: DateTime<Utc>) -> Result<u64> {
    let done = sqlx::query!(
        "delete from model_gateways g where g.seen_at < $1 and not exists \
             (select from model_calls c where c.gateway_id = g.id and c.finished_at is null)",
        seen_before,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
