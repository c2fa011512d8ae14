//! Calls to the model API, counted for each attempt: what each reserved, used and cost, and how it ended.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{
    ids::{Attempt, ProjectId, RunId},
    job::Usage,
    model::{Amount, Cost, ModelPolicy, Stopped, Usd},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result, StoreError,
    blobs::BlobKey,
    convert::{self, attempt_number, clean, stored, unsigned},
    kinds::ModelCallKind,
    model_budgets::{self, Keys},
};

/// Names a call. Also what the provider is told, so that a call that is sent twice can be known as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModelCallId(pub Uuid);

/// What an attempt has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Calls that were made.
    pub calls: u32,
    /// Tokens, as far as reported; estimated for calls that broke off.
    pub usage: Usage,
    /// What that cost.
    pub cost: Cost,
}

/// Who makes a call, and what it may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The project of the run.
    pub project: ProjectId,
    /// What the attempt may use; none: it was launched before there were such policies.
    pub policy: Option<ModelPolicy>,
    /// Since when its agent works, if that is known already.
    pub agent_since: Option<DateTime<Utc>>,
}

/// A call that begins.
#[derive(Clone, Copy, Debug)]
pub struct NewCall<'a> {
    /// The run.
    pub run: RunId,
    /// Its attempt.
    pub attempt: Attempt,
    /// The run's project.
    pub project: ProjectId,
    /// What is asked for.
    pub kind: ModelCallKind,
    /// The model.
    pub model: &'a str,
    /// Now.
    pub now: DateTime<Utc>,
}

/// What a call has taken out of the budgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// Estimate of its input, in tokens.
    pub input: u64,
    /// Its longest answer, in tokens.
    pub output: u64,
    /// What both cost; none: the model has no price.
    pub usd: Option<Usd>,
}

/// What a call is booked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// Nothing: it never came to an answer that costs.
    Nothing,
    /// What the provider reported, and what that costs if the model has a price.
    Reported(Usage, Option<Usd>),
    /// What it had reserved: it ended without telling what it used.
    Estimated,
}

/// How a call ended.
#[derive(Clone, Debug)]
pub struct CallEnd<'a> {
    /// Status of the answer; none: there was none.
    pub status: Option<u16>,
    /// What it is booked with.
    pub charge: Charge,
    /// When the answer began.
    pub first_byte_at: Option<DateTime<Utc>>,
    /// Who answered, and the name of the key that was used.
    pub served_by: Option<(&'a str, &'a str)>,
    /// How often it was sent.
    pub tries: u32,
    /// How long it waited before it was sent.
    pub waited: Duration,
    /// Why we ended it of our own accord.
    pub stopped: Option<&'a Stopped>,
    /// Where what was said is kept.
    pub bodies: Option<&'a BlobKey>,
    /// Now.
    pub now: DateTime<Utc>,
}

/// Who makes a call of this attempt.
///
/// # Errors
/// The attempt is not there, or the database fails.
pub async fn caller(conn: &mut PgConnection, run: RunId, attempt: Attempt) -> Result<Caller> {
    let row = sqlx::query!(
        "select r.project_id, a.model_policy, s.started_at as \"agent_since?\" \
         from attempts a join runs r on r.id = a.run_id \
         left join steps s on s.run_id = a.run_id and s.attempt = a.attempt and s.step = 'agent' \
         where a.run_id = $1 and a.attempt = $2",
        run.as_uuid(),
        attempt_number(attempt),
    )
    .fetch_optional(conn)
    .await?
    .ok_or_else(|| StoreError::missing("attempt", &format!("{run}/{attempt}")))?;
    let policy = row.model_policy.map(|value| convert::json("attempts", "model_policy", value)).transpose()?;
    Ok(Caller { project: ProjectId::from_uuid(row.project_id), policy, agent_since: row.agent_since })
}

/// Fixes what an attempt may ask of the model API.
///
/// # Errors
/// The database fails.
pub async fn set_policy(conn: &mut PgConnection, run: RunId, attempt: Attempt, policy: &ModelPolicy) -> Result<()> {
    sqlx::query!(
        "update attempts set model_policy = $3 where run_id = $1 and attempt = $2",
        run.as_uuid(),
        attempt_number(attempt),
        convert::to_json("attempts", "model_policy", policy)?,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes a call that we did not make, and what its caller was told.
///
/// # Errors
/// The attempt is not there, or the database fails.
pub async fn refused(conn: &mut PgConnection, call: &NewCall<'_>, status: u16, stopped: &Stopped) -> Result<()> {
    sqlx::query!(
        "insert into model_calls (id, run_id, attempt, started_at, finished_at, kind, model, status, stopped, problem) \
         values ($1, $2, $3, $4, $4, $5, $6, $7, $8, $9)",
        Uuid::now_v7(),
        call.run.as_uuid(),
        attempt_number(call.attempt),
        call.now,
        call.kind.as_str(),
        &clean(call.model),
        i32::from(status),
        stopped.stop.as_str(),
        &stopped.problem,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What a call has reserved and is booked with.
struct Open {
    keys: Keys,
    ended: bool,
    estimated: bool,
    reserved: Reserved,
    booked: Amount,
}

/// Writes down how a call ended, and books it. The first end stays, but for one thing: what the provider reported takes the
/// place of an estimate. False if nothing changed. To be done in a transaction.
///
/// # Errors
/// The database fails.
pub async fn finish(conn: &mut PgConnection, id: ModelCallId, end: &CallEnd<'_>) -> Result<bool> {
    let Some(open) = lock(conn, id).await? else { return Ok(false) };
    let corrects = open.estimated && matches!(end.charge, Charge::Reported(..));
    if open.ended && !corrects {
        return Ok(false);
    }
    let (usage, usd) = match end.charge {
        Charge::Nothing => (Usage::default(), Some(Usd::ZERO)),
        Charge::Reported(usage, usd) => (usage, usd),
        Charge::Estimated => {
            let reserved = open.reserved;
            let usage = Usage { input_tokens: reserved.input, output_tokens: reserved.output, ..Usage::default() };
            (usage, reserved.usd)
        }
    };
    let booked = Amount { tokens: usage.input_tokens + usage.output_tokens, usd: usd.unwrap_or_default() };
    let given_back = if open.ended { None } else { Some(open.reserved) };
    write_end(conn, id, end, (usage, usd)).await?;
    model_budgets::book(conn, &open.keys, (open.booked, booked), given_back).await?;
    Ok(true)
}

async fn lock(conn: &mut PgConnection, id: ModelCallId) -> Result<Option<Open>> {
    let row = sqlx::query!(
        "select c.run_id, c.started_at, c.finished_at, c.estimated, c.reserved_input_tokens, c.reserved_output_tokens, \
             c.reserved_nano_usd, c.input_tokens, c.output_tokens, c.nano_usd, r.project_id \
         from model_calls c join runs r on r.id = c.run_id where c.id = $1 for update of c",
        id.0,
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let count = |column, number: i64| unsigned::<u64>("model_calls", column, number);
    let tokens = count("input_tokens", row.input_tokens)? + count("output_tokens", row.output_tokens)?;
    let usd = count("nano_usd", row.nano_usd.unwrap_or_default())?;
    let reserved_usd = row.reserved_nano_usd.map(|nano| count("reserved_nano_usd", nano)).transpose()?;
    Ok(Some(Open {
        keys: Keys::new(RunId::from_uuid(row.run_id), ProjectId::from_uuid(row.project_id), row.started_at),
        ended: row.finished_at.is_some(),
        estimated: row.estimated,
        reserved: Reserved {
            input: count("reserved_input_tokens", row.reserved_input_tokens)?,
            output: count("reserved_output_tokens", row.reserved_output_tokens)?,
            usd: reserved_usd.map(Usd::from_nano),
        },
        booked: Amount { tokens, usd: Usd::from_nano(usd) },
    }))
}

async fn write_end(
    conn: &mut PgConnection,
    id: ModelCallId,
    end: &CallEnd<'_>,
    (usage, usd): (Usage, Option<Usd>),
) -> Result<()> {
    sqlx::query!(
        "update model_calls set finished_at = $2, status = $3, input_tokens = $4, cached_input_tokens = $5, \
             output_tokens = $6, reasoning_output_tokens = $7, nano_usd = $8, estimated = $9, first_byte_at = $10, \
             provider = $11, key_id = $12, tries = $13, waited_ms = $14, stopped = $15, problem = $16, bodies_blob = $17 \
         where id = $1",
        id.0,
        end.now,
        end.status.map(i32::from),
        stored(usage.input_tokens),
        stored(usage.cached_input_tokens),
        stored(usage.output_tokens),
        stored(usage.reasoning_output_tokens),
        usd.map(|usd| stored(usd.nano())),
        end.charge == Charge::Estimated,
        end.first_byte_at,
        end.served_by.map(|(provider, _)| provider),
        end.served_by.map(|(_, key)| key),
        i32::try_from(end.tries).unwrap_or(i32::MAX),
        i64::try_from(end.waited.as_millis()).unwrap_or(i64::MAX),
        end.stopped.map(|stopped| stopped.stop.as_str()),
        end.stopped.map(|stopped| stopped.problem.as_str()),
        end.bodies.map(BlobKey::as_str),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Calls under way of model gateways that were not heard of since then, at most so many.
///
/// # Errors
/// The database fails.
pub async fn orphans(conn: &mut PgConnection, seen_before: DateTime<Utc>, most: u32) -> Result<Vec<ModelCallId>> {
    let ids = sqlx::query_scalar!(
        "select c.id from model_calls c left join model_gateways g on g.id = c.gateway_id \
         where c.finished_at is null and c.gateway_id is not null and (g.seen_at is null or g.seen_at < $1) limit $2",
        seen_before,
        i64::from(most),
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(ModelCallId).collect())
}

/// Why the newest call of an attempt was ended by us, if it was.
///
/// # Errors
/// The database fails.
pub async fn stopped(conn: &mut PgConnection, run: RunId, attempt: Attempt) -> Result<Option<Stopped>> {
    let row = sqlx::query!(
        "select stopped, problem from model_calls where run_id = $1 and attempt = $2 order by started_at desc, id desc limit 1",
        run.as_uuid(),
        attempt_number(attempt),
    )
    .fetch_optional(conn)
    .await?;
    let Some((stop, problem)) = row.and_then(|row| row.stopped.zip(row.problem)) else { return Ok(None) };
    Ok(Some(Stopped { stop: convert::parse("model_calls", "stopped", &stop)?, problem }))
}

/// Whether the agent of an attempt has asked for a call, made or not: from then on it is at work.
///
/// # Errors
/// The database fails.
pub async fn any(conn: &mut PgConnection, run: RunId, attempt: Attempt) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        "select exists (select from model_calls where run_id = $1 and attempt = $2) as \"any!\"",
        run.as_uuid(),
        attempt_number(attempt),
    )
    .fetch_one(conn)
    .await?)
}

/// What an attempt has used so far.
///
/// # Errors
/// The database fails.
pub async fn sum_for_attempt(conn: &mut PgConnection, run: RunId, attempt: Attempt) -> Result<Spent> {
    let row = sqlx::query!(
        "select count(*) filter (where stopped is null or stopped = 'output_cut') as \"calls!\", \
             coalesce(sum(input_tokens), 0)::bigint as \"input!\", \
             coalesce(sum(cached_input_tokens), 0)::bigint as \"cached!\", \
             coalesce(sum(output_tokens), 0)::bigint as \"output!\", \
             coalesce(sum(reasoning_output_tokens), 0)::bigint as \"reasoning!\", \
             coalesce(sum(nano_usd), 0)::bigint as \"nano_usd!\", \
             count(*) filter (where nano_usd is null and input_tokens + output_tokens > 0) as \"unpriced!\", \
             count(*) filter (where estimated) as \"estimated!\" \
         from model_calls where run_id = $1 and attempt = $2",
        run.as_uuid(),
        attempt_number(attempt),
    )
    .fetch_one(conn)
    .await?;
    Ok(Spent {
        calls: unsigned("model_calls", "count", row.calls)?,
        usage: Usage {
            input_tokens: unsigned("model_calls", "input_tokens", row.input)?,
            cached_input_tokens: unsigned("model_calls", "cached_input_tokens", row.cached)?,
            output_tokens: unsigned("model_calls", "output_tokens", row.output)?,
            reasoning_output_tokens: unsigned("model_calls", "reasoning_output_tokens", row.reasoning)?,
        },
        cost: Cost {
            known: Usd::from_nano(unsigned("model_calls", "nano_usd", row.nano_usd)?),
            unpriced_calls: unsigned("model_calls", "count", row.unpriced)?,
            estimated_calls: unsigned("model_calls", "count", row.estimated)?,
        },
    })
}

/// Where what was said in an attempt's calls is kept, at most so many.
///
/// # Errors
/// The database fails.
pub async fn bodies(conn: &mut PgConnection, run: RunId, attempt: Attempt, most: u32) -> Result<Vec<BlobKey>> {
    let keys = sqlx::query_scalar!(
        "select bodies_blob as \"key!\" from model_calls \
         where run_id = $1 and attempt = $2 and bodies_blob is not null order by id limit $3",
        run.as_uuid(),
        attempt_number(attempt),
        i64::from(most),
    )
    .fetch_all(conn)
    .await?;
    Ok(keys.iter().map(|key| BlobKey::stored(key)).collect())
}

/// What was said in these calls of an attempt is no longer kept.
///
/// # Errors
/// The database fails.
pub async fn bodies_deleted(conn: &mut PgConnection, run: RunId, attempt: Attempt, keys: &[BlobKey]) -> Result<()> {
    let keys: Vec<String> = keys.iter().map(|key| key.as_str().to_owned()).collect();
    sqlx::query!(
        "update model_calls set bodies_blob = null where run_id = $1 and attempt = $2 and bodies_blob = any($3)",
        run.as_uuid(),
        attempt_number(attempt),
        &keys,
    )
    .execute(conn)
    .await?;
    Ok(())
}
