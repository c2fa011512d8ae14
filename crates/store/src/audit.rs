//! What happened and who did it. Only ever added to; the database sees to that.

use chrono::{DateTime, Utc};
use domain::ids::{DeliveryId, PersonId, ProjectId, RepositoryId, RunId};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result,
    convert::{clean, clean_json, clean_opt},
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

/// Which events to list; what is none does not matter.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditFilter<'a> {
    /// Only what happened in repositories of projects that this person is a member of.
    pub seen_by: Option<PersonId>,
    /// In repositories of this project.
    pub project: Option<ProjectId>,
    /// Done by.
    pub actor: Option<&'a str>,
    /// Of this kind, or of all kinds that begin with it and a dot.
    pub kind: Option<&'a str>,
    /// To this run.
    pub run: Option<RunId>,
    /// At this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Before this time.
    pub until: Option<DateTime<Utc>>,
    /// Older than the event of this id.
    pub before: Option<Uuid>,
}

/// Lists events, the newest first: their ids are in the order in which they were written down.
///
/// # Errors
/// The database fails.
pub async fn list(conn: &mut PgConnection, filter: AuditFilter<'_>, limit: i64) -> Result<Vec<FlowEvent>> {
    let rows = sqlx::query!(
        "select e.id, e.at, e.run_id, e.repository_id, e.delivery_id, e.actor, e.kind, e.detail from audit.flow_events e \
         where ($1::uuid is null or e.repository_id in (select o.id from repositories o \
                 join project_members m on m.project_id = o.project_id where m.person_id = $1)) \
             and ($2::uuid is null or e.repository_id in (select o.id from repositories o where o.project_id = $2)) \
             and ($3::text is null or lower(e.actor) = lower($3)) \
             and ($4::text is null or e.kind = $4 or starts_with(e.kind, $4 || '.')) \
             and ($5::uuid is null or e.run_id = $5) \
             and ($6::timestamptz is null or e.at >= $6) and ($7::timestamptz is null or e.at < $7) \
             and ($8::uuid is null or e.id < $8) \
         order by e.id desc limit $9",
        filter.seen_by.map(PersonId::as_uuid),
        filter.project.map(ProjectId::as_uuid),
        clean_opt(filter.actor),
        clean_opt(filter.kind),
        filter.run.map(RunId::as_uuid),
        filter.since,
        filter.until,
        filter.before,
        limit,
    )
    .fetch_all(conn)
    .await?;
    let events = rows.into_iter().map(|row| FlowEvent {
        id: row.id,
        at: row.at,
        run: row.run_id.map(RunId::from_uuid),
        repository: row.repository_id.map(RepositoryId::from_uuid),
        delivery: row.delivery_id.map(DeliveryId::from_uuid),
        actor: row.actor,
        kind: row.kind,
        detail: row.detail,
    });
    Ok(events.collect())
}
