//! New deliveries, alone and many at once.

use std::{borrow::Cow, collections::HashSet};

use chrono::{DateTime, Utc};
use domain::{
    ids::{DeliveryId, RepositoryId, RunId},
    triggers::{DeliverySource, VerdictKind},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result,
    convert::{clean, clean_opt, parse},
};

/// A delivery to be stored. Every text may come from an outsider.
#[derive(Clone, Copy, Debug)]
pub struct NewDelivery<'a> {
    /// `X-GitHub-Hook-ID`, 0 if absent.
    pub hook_key: i64,
    /// `X-GitHub-Delivery`.
    pub guid: &'a str,
    /// `X-GitHub-Event`.
    pub event: &'a str,
    /// The payload's action.
    pub action: Option<&'a str>,
    /// The repository, if it is connected.
    pub repository: Option<RepositoryId>,
    /// The repository as the forge knows it.
    pub forge_repo_id: Option<i64>,
    /// Number of the issue or pull request.
    pub subject_number: Option<i64>,
    /// Login of the sender.
    pub sender_login: Option<&'a str>,
    /// Id of the sender.
    pub sender_id: Option<i64>,
    /// What was decided.
    pub verdict: VerdictKind,
    /// Why, as a sentence.
    pub reason: &'a str,
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// How it came.
    pub source: DeliverySource,
}

/// What became of an insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is stored.
    New(DeliveryId),
    /// It was stored before, by this hook under this GUID.
    Duplicate(StoredVerdict),
}

/// What was decided about a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredVerdict {
    /// The delivery.
    pub delivery: DeliveryId,
    /// What was decided.
    pub verdict: VerdictKind,
    /// Why.
    pub reason: String,
    /// The run it started, told or found.
    pub run: Option<RunId>,
    /// How it first came.
    pub source: DeliverySource,
}

/// Stores a delivery with its raw body, if it has one, or finds the one that is stored. Waits for a transaction that is
/// storing the same one. Retention drops bodies by the day.
///
/// # Errors
/// The database fails.
pub async fn insert(conn: &mut PgConnection, new: NewDelivery<'_>, body: Option<&[u8]>) -> Result<Inserted> {
    let guid = clean(new.guid);
    let inserted = sqlx::query_scalar!(
        "with delivery as ( \
             insert into deliveries (id, hook_key, guid, event, action, repository_id, forge_repo_id, subject_number, \
                 sender_login, sender_id, verdict, reason, received_at, source) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
             on conflict (hook_key, guid) do nothing returning id, received_at), \
         payload as ( \
             insert into delivery_payloads (delivery_id, received_at, body) \
             select id, received_at, $15 from delivery where $15::bytea is not null) \
         select id from delivery",
        Uuid::now_v7(),
        new.hook_key,
        &guid,
        &clean(new.event),
        clean_opt(new.action),
        new.repository.map(RepositoryId::as_uuid),
        new.forge_repo_id,
        new.subject_number,
        clean_opt(new.sender_login),
        new.sender_id,
        new.verdict.as_str(),
        &clean(new.reason),
        new.received_at,
        new.source.as_str(),
        body,
    )
    .fetch_optional(&mut *conn)
    .await?;
    match inserted {
        Some(id) => Ok(Inserted::New(DeliveryId::from_uuid(id))),
        None => Ok(Inserted::Duplicate(stored(conn, new.hook_key, &guid).await?)),
    }
}

/// Stores deliveries as [`insert`] does, in one statement, of which nothing else is to be written; says of each, in their order, what
/// became of it. Of two that are the same the first is stored.
///
/// # Errors
/// The database fails.
pub async fn insert_all(conn: &mut PgConnection, all: &[(NewDelivery<'_>, &[u8])]) -> Result<Vec<Inserted>> {
    if let [(new, body)] = all {
        return Ok(vec![insert(conn, *new, Some(body)).await?]);
    }
    let new = Columns::of(all);
    let mut inserted: HashSet<Uuid> = sqlx::query_scalar!(
        "with new as ( \
             select * from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::bigint[], \
                 $8::bigint[], $9::text[], $10::bigint[], $11::text[], $12::text[], $13::timestamptz[], $14::text[], $15::bytea[]) \
             with ordinality as n (id, hook_key, guid, event, action, repository_id, forge_repo_id, subject_number, sender_login, \
                 sender_id, verdict, reason, received_at, source, body, place)), \
         delivery as ( \
             insert into deliveries (id, hook_key, guid, event, action, repository_id, forge_repo_id, subject_number, \
                 sender_login, sender_id, verdict, reason, received_at, source) \
             select id, hook_key, guid, event, action, repository_id, forge_repo_id, subject_number, sender_login, sender_id, \
                 verdict, reason, received_at, source from new order by place \
             on conflict (hook_key, guid) do nothing returning id), \
         payload as ( \
             insert into delivery_payloads (delivery_id, received_at, body) \
             select new.id, new.received_at, new.body from new join delivery on delivery.id = new.id) \
         select id from delivery",
        &new.ids,
        &new.hook_keys,
        &new.guids as &[Cow<'_, str>],
        &new.events as &[Cow<'_, str>],
        &new.actions as &[Option<Cow<'_, str>>],
        &new.repositories as &[Option<Uuid>],
        &new.forge_repo_ids as &[Option<i64>],
        &new.subject_numbers as &[Option<i64>],
        &new.sender_logins as &[Option<Cow<'_, str>>],
        &new.sender_ids as &[Option<i64>],
        &new.verdicts as &[&str],
        &new.reasons as &[Cow<'_, str>],
        &new.received_at,
        &new.sources as &[&str],
        &new.bodies as &[&[u8]],
    )
    .fetch_all(&mut *conn)
    .await?
    .into_iter()
    .collect();
    let mut became = Vec::with_capacity(all.len());
    for ((id, guid), (delivery, _)) in new.ids.iter().zip(&new.guids).zip(all) {
        became.push(if inserted.remove(id) {
            Inserted::New(DeliveryId::from_uuid(*id))
        } else {
            Inserted::Duplicate(stored(conn, delivery.hook_key, guid).await?)
        });
    }
    Ok(became)
}

/// Many deliveries, a list for each column.
#[derive(Default)]
struct Columns<'a> {
    ids: Vec<Uuid>,
    hook_keys: Vec<i64>,
    guids: Vec<Cow<'a, str>>,
    events: Vec<Cow<'a, str>>,
    actions: Vec<Option<Cow<'a, str>>>,
    repositories: Vec<Option<Uuid>>,
    forge_repo_ids: Vec<Option<i64>>,
    subject_numbers: Vec<Option<i64>>,
    sender_logins: Vec<Option<Cow<'a, str>>>,
    sender_ids: Vec<Option<i64>>,
    verdicts: Vec<&'static str>,
    reasons: Vec<Cow<'a, str>>,
    received_at: Vec<DateTime<Utc>>,
    sources: Vec<&'static str>,
    bodies: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    fn of(all: &[(NewDelivery<'a>, &'a [u8])]) -> Self {
        let mut columns = Self::default();
        for (new, body) in all {
            columns.ids.push(Uuid::now_v7());
            columns.hook_keys.push(new.hook_key);
            columns.guids.push(clean(new.guid));
            columns.events.push(clean(new.event));
            columns.actions.push(new.action.map(clean));
            columns.repositories.push(new.repository.map(RepositoryId::as_uuid));
            columns.forge_repo_ids.push(new.forge_repo_id);
            columns.subject_numbers.push(new.subject_number);
            columns.sender_logins.push(new.sender_login.map(clean));
            columns.sender_ids.push(new.sender_id);
            columns.verdicts.push(new.verdict.as_str());
            columns.reasons.push(clean(new.reason));
            columns.received_at.push(new.received_at);
            columns.sources.push(new.source.as_str());
            columns.bodies.push(body);
        }
        columns
    }
}

/// What was decided about a delivery that is there already.
async fn stored(conn: &mut PgConnection, hook_key: i64, guid: &str) -> Result<StoredVerdict> {
    let stored = sqlx::query!(
        "select id, verdict, reason, run_id, source from deliveries where hook_key = $1 and guid = $2",
        hook_key,
        guid,
    )
    .fetch_one(conn)
    .await?;
    Ok(StoredVerdict {
        delivery: DeliveryId::from_uuid(stored.id),
        verdict: parse("deliveries", "verdict", &stored.verdict)?,
        reason: stored.reason,
        run: stored.run_id.map(RunId::from_uuid),
        source: parse("deliveries", "source", &stored.source)?,
    })
}
