//! The ledger: every webhook delivery, what was decided about it and why.

mod insert;

use chrono::{DateTime, Utc};
use domain::{
    ids::{DeliveryId, PersonId, ProjectId, RepositoryId, RunId},
    triggers::{DeliverySource, VerdictKind},
};
use sqlx::PgConnection;
use uuid::Uuid;

pub use self::insert::{Inserted, NewDelivery, StoredVerdict, insert, insert_all};
use crate::{
    Result, StoreError,
    convert::{clean, clean_opt, parse},
};

/// The hook key of what no hook sent: a schedule's moment, a wish by hand. Its GUID is ours.
pub const NO_HOOK: i64 = -1;

/// A row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// `X-GitHub-Hook-ID`, 0 if absent.
    pub hook_key: i64,
    /// `X-GitHub-Delivery`.
    pub guid: String,
    /// `X-GitHub-Event`.
    pub event: String,
    /// The payload's action.
    pub action: Option<String>,
    /// The repository, if it was connected.
    pub repository: Option<RepositoryId>,
    /// The repository as the forge knows it.
    pub forge_repo_id: Option<i64>,
    /// Number of the issue or pull request.
    pub subject_number: Option<i64>,
    /// Login of the sender.
    pub sender_login: Option<String>,
    /// Id of the sender.
    pub sender_id: Option<i64>,
    /// What was decided.
    pub verdict: VerdictKind,
    /// Why.
    pub reason: String,
    /// The run it started, told or found.
    pub run: Option<RunId>,
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// How it came.
    pub source: DeliverySource,
    /// The delivery whose event was judged once more.
    pub replay_of: Option<DeliveryId>,
}

struct Row {
    id: Uuid,
    hook_key: i64,
    guid: String,
    event: String,
    action: Option<String>,
    repository_id: Option<Uuid>,
    forge_repo_id: Option<i64>,
    subject_number: Option<i64>,
    sender_login: Option<String>,
    sender_id: Option<i64>,
    verdict: String,
    reason: String,
    run_id: Option<Uuid>,
    received_at: DateTime<Utc>,
    source: String,
    replay_of: Option<Uuid>,
}

impl TryFrom<Row> for Delivery {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: DeliveryId::from_uuid(row.id),
            hook_key: row.hook_key,
            guid: row.guid,
            event: row.event,
            action: row.action,
            repository: row.repository_id.map(RepositoryId::from_uuid),
            forge_repo_id: row.forge_repo_id,
            subject_number: row.subject_number,
            sender_login: row.sender_login,
            sender_id: row.sender_id,
            verdict: parse("deliveries", "verdict", &row.verdict)?,
            reason: row.reason,
            run: row.run_id.map(RunId::from_uuid),
            received_at: row.received_at,
            source: parse("deliveries", "source", &row.source)?,
            replay_of: row.replay_of.map(DeliveryId::from_uuid),
        })
    }
}

/// The columns of [`Row`], written once.
macro_rules! select_deliveries {
    ($tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            "select id, hook_key, guid, event, action, repository_id, forge_repo_id, subject_number, sender_login, \
             sender_id, verdict, reason, run_id, received_at, source, replay_of from deliveries " + $tail
            $(, $argument)*
        )
    };
}

/// Which of these deliveries of a hook the ledger does not have.
///
/// # Errors
/// The database fails.
pub async fn unknown(conn: &mut PgConnection, hook_key: i64, guids: &[String]) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        "select u.guid as \"guid!\" from unnest($2::text[]) u (guid) \
         where (select d.id from deliveries d where d.hook_key = $1 and d.guid = u.guid) is null",
        hook_key,
        guids
    )
    .fetch_all(conn)
    .await?)
}

/// Writes down what was decided. A later decision replaces it; a run once named stays named.
///
/// # Errors
/// The database fails.
pub async fn set_verdict(
    conn: &mut PgConnection,
    id: DeliveryId,
    verdict: VerdictKind,
    reason: &str,
    run: Option<RunId>,
) -> Result<()> {
    sqlx::query!(
        "update deliveries set verdict = $2, reason = $3, run_id = coalesce($4, run_id) where id = $1",
        id.as_uuid(),
        verdict.as_str(),
        &clean(reason),
        run.map(RunId::as_uuid),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes down whose event a delivery judges once more.
///
/// # Errors
/// The database fails.
pub async fn set_replay_of(conn: &mut PgConnection, id: DeliveryId, first: DeliveryId) -> Result<()> {
    sqlx::query!("update deliveries set replay_of = $2 where id = $1", id.as_uuid(), first.as_uuid())
        .execute(conn)
        .await?;
    Ok(())
}

/// The raw body, while retention still keeps it.
///
/// # Errors
/// The database fails.
pub async fn payload(conn: &mut PgConnection, id: DeliveryId) -> Result<Option<Vec<u8>>> {
    Ok(sqlx::query_scalar!(
        "select p.body from deliveries d \
         join delivery_payloads p on p.delivery_id = d.id and p.received_at = d.received_at where d.id = $1",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?)
}

/// The newest deliveries, newest first.
///
/// # Errors
/// The database fails.
pub async fn list_recent(conn: &mut PgConnection, limit: u32) -> Result<Vec<Delivery>> {
    let rows =
        select_deliveries!("order by received_at desc, id desc limit $1", i64::from(limit)).fetch_all(conn).await?;
    rows.into_iter().map(Delivery::try_from).collect()
}

/// Which deliveries to list; what is none does not matter.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeliveryFilter<'a> {
    /// Of projects that this person is a member of.
    pub seen_by: Option<PersonId>,
    /// Of this project.
    pub project: Option<ProjectId>,
    /// On the issue or pull request of this number.
    pub subject_number: Option<i64>,
    /// With this GUID.
    pub guid: Option<&'a str>,
    /// With this verdict.
    pub verdict: Option<VerdictKind>,
    /// Older than this one: when it came, and its id.
    pub before: Option<(DateTime<Utc>, DeliveryId)>,
}

/// Lists deliveries, newest first. Those of repositories that are not connected belong to no project.
///
/// # Errors
/// The database fails.
pub async fn list(conn: &mut PgConnection, filter: DeliveryFilter<'_>, limit: u32) -> Result<Vec<Delivery>> {
    let rows = select_deliveries!(
        "where ($1::uuid is null or repository_id in (select o.id from repositories o \
             join project_members m on m.project_id = o.project_id where m.person_id = $1)) \
         and ($2::uuid is null or repository_id in (select o.id from repositories o where o.project_id = $2)) \
         and ($3::bigint is null or subject_number = $3) and ($4::text is null or guid = $4) \
         and ($5::text is null or verdict = $5) \
         and ($6::timestamptz is null or (received_at, id) < ($6, $7::uuid)) \
         order by received_at desc, id desc limit $8",
        filter.seen_by.map(PersonId::as_uuid),
        filter.project.map(ProjectId::as_uuid),
        filter.subject_number,
        clean_opt(filter.guid),
        filter.verdict.map(VerdictKind::as_str),
        filter.before.map(|(at, _)| at),
        filter.before.map(|(_, id)| id.as_uuid()),
        i64::from(limit),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Delivery::try_from).collect()
}

/// The deliveries that started, told or found a run, oldest first.
///
/// # Errors
/// The database fails.
pub async fn list_for_run(conn: &mut PgConnection, run: RunId) -> Result<Vec<Delivery>> {
    let rows = select_deliveries!("where run_id = $1 order by received_at, id", run.as_uuid()).fetch_all(conn).await?;
    rows.into_iter().map(Delivery::try_from).collect()
}

/// The newest deliveries that judge the event of this one once more, newest first.
///
/// # Errors
/// The database fails.
pub async fn replays(conn: &mut PgConnection, of: DeliveryId, limit: u32) -> Result<Vec<Delivery>> {
    let rows = select_deliveries!(
        "where replay_of = $1 order by received_at desc, id desc limit $2",
        of.as_uuid(),
        i64::from(limit)
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Delivery::try_from).collect()
}

/// The delivery of this id.
///
/// # Errors
/// The database fails.
pub async fn get(conn: &mut PgConnection, id: DeliveryId) -> Result<Option<Delivery>> {
    let row = select_deliveries!("where id = $1", id.as_uuid()).fetch_optional(conn).await?;
    row.map(Delivery::try_from).transpose()
}
