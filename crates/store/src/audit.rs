//! What happened and who did it. Only ever added to; the database sees to that.

use chrono::{DateTime, Utc};
use domain::ids::{DeliveryId, RepositoryId, RunId};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result,
    convert::{clean, clean_json},
};

/// Something that happened, to be stored.
#[derive(Clone, Debug)]
pub struct NewFlowEvent<'a> {
    /// When.
    pub at: DateTime<Utc>,
    /// To which run.
    pub run: Option<RunId>,
    /// Where.
    pub repository: Option<RepositoryId>,
    /// The delivery that told it.
    pub delivery: Option<DeliveryId>,
    /// Who did it: a login, or a part of the platform.
    pub actor: &'a str,
    /// What, as a word.
    pub kind: &'a str,
    /// The particulars. No secrets.
    pub detail: Value,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowEvent {
    /// Its id.
    pub id: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// To which run.
    pub run: Option<RunId>,
    /// Where.
    pub repository: Option<RepositoryId>,
    /// The delivery that told it.
    pub delivery: Option<DeliveryId>,
    /// Who did it.
    pub actor: String,
    /// What.
    pub kind: String,
    /// The particulars.
    pub detail: Value,
}

/// Adds an event.
///
/// # Errors
/// The database fails.
pub async fn append(conn: &mut PgConnection, new: NewFlowEvent<'_>) -> Result<()> {
    sqlx::query!(
        "insert into audit.flow_events (id, at, run_id, repository_id, delivery_id, actor, kind, detail) \
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        Uuid::now_v7(),
        new.at,
        new.run.map(RunId::as_uuid),
        new.repository.map(RepositoryId::as_uuid),
        new.delivery.map(DeliveryId::as_uuid),
        &clean(new.actor),
        &clean(new.kind),
        &*clean_json(&new.detail),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What happened to a run, the first first.
///
/// # Errors
/// The database fails.
pub async fn list_for_run(conn: &mut PgConnection, run: RunId) -> Result<Vec<FlowEvent>> {
    let rows = sqlx::query!(
        "select id, at, run_id, repository_id, delivery_id, actor, kind, detail from audit.flow_events \
         where run_id = $1 order by at, id",
        run.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| FlowEvent {
            id: row.id,
            at: row.at,
            run: row.run_id.map(RunId::from_uuid),
            repository: row.repository_id.map(RepositoryId::from_uuid),
            delivery: row.delivery_id.map(DeliveryId::from_uuid),
            actor: row.actor,
            kind: row.kind,
            detail: row.detail,
        })
        .collect())
}
