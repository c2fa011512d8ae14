//! Attempts of runs, and the Job of each.

use chrono::{DateTime, Utc};
use domain::{
    ids::{Attempt, RunId},
    run::{Outcome, Step},
    triggers::BusinessKey,
};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    JobState, Result, StoreError,
    convert::{self, attempt_number, clean, clean_json},
};

/// An attempt as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptRecord {
    /// The run.
    pub run: RunId,
    /// Its number.
    pub attempt: Attempt,
    /// Where it began; none is the start.
    pub from_step: Option<Step>,
    /// Whether it was to go on from the work of an earlier one.
    pub asked_to_continue: bool,
    /// The attempt whose kept work it goes on from; none was kept if it was asked for.
    pub continues: Option<Attempt>,
    /// Where its Job is.
    pub job_state: JobState,
    /// Name of the Job.
    pub job_name: Option<String>,
    /// When the Job was last heard of.
    pub job_heartbeat_at: Option<DateTime<Utc>>,
    /// When somebody who may do so asked for its end.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// When we first asked its Job to end, for whatever reason.
    pub stop_requested_at: Option<DateTime<Utc>>,
    /// Blob of the packed workspace.
    pub workspace_blob: Option<String>,
    /// Blob of the result bundle.
    pub result_blob: Option<String>,
    /// The whole prompt.
    pub prompt: Option<String>,
    /// The version of its agent that it works by; none before the prompt is written.
    pub agent_version: Option<u32>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Why, as a sentence.
    pub cause: Option<String>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Nobody was entitled to it: the run kept the end that it had.
    pub withdrawn: bool,
}

struct Row {
    run_id: Uuid,
    attempt: i32,
    from_step: Option<String>,
    asked_to_continue: bool,
    continues_attempt: Option<i32>,
    job_state: String,
    job_name: Option<String>,
    job_heartbeat_at: Option<DateTime<Utc>>,
    cancel_requested_at: Option<DateTime<Utc>>,
    stop_requested_at: Option<DateTime<Utc>>,
    workspace_blob: Option<String>,
    result_blob: Option<String>,
    prompt: Option<String>,
    agent_version: Option<i32>,
    outcome: Option<String>,
    cause: Option<String>,
    started_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    withdrawn: bool,
}

impl TryFrom<Row> for AttemptRecord {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            run: RunId::from_uuid(row.run_id),
            attempt: convert::attempt("attempts", row.attempt)?,
            from_step: convert::parse_opt("attempts", "from_step", row.from_step.as_deref())?,
            asked_to_continue: row.asked_to_continue,
            continues: row.continues_attempt.map(|number| convert::attempt("attempts", number)).transpose()?,
            job_state: convert::parse("attempts", "job_state", &row.job_state)?,
            job_name: row.job_name,
            job_heartbeat_at: row.job_heartbeat_at,
            cancel_requested_at: row.cancel_requested_at,
            stop_requested_at: row.stop_requested_at,
            workspace_blob: row.workspace_blob,
            result_blob: row.result_blob,
            prompt: row.prompt,
            agent_version: row
                .agent_version
                .map(|version| convert::unsigned("attempts", "agent_version", version))
                .transpose()?,
            outcome: convert::parse_opt("attempts", "outcome", row.outcome.as_deref())?,
            cause: row.cause,
            started_at: row.started_at,
            finished_at: row.finished_at,
            withdrawn: row.withdrawn,
        })
    }
}

/// The columns of [`Row`], written once. The report is read on its own: it is large.
macro_rules! select_attempts {
    ($tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            "select run_id, attempt, from_step, asked_to_continue, continues_attempt, job_state, job_name, \
             job_heartbeat_at, cancel_requested_at, stop_requested_at, workspace_blob, result_blob, prompt, \
             agent_version, outcome, cause, started_at, finished_at, withdrawn from attempts " + $tail
            $(, $argument)*
        )
    };
}

/// Who asked for an attempt: the person who asked for the run, unless somebody had it tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requester {
    /// Login at that time.
    pub login: String,
    /// The forge's number of the account.
    pub id: i64,
    /// Whether the forge calls it a bot.
    pub is_bot: bool,
}

/// Who asked for an attempt.
///
/// # Errors
/// The attempt is not there, or the database fails.
pub async fn requester(conn: &mut PgConnection, run: RunId, attempt: Attempt) -> Result<Requester> {
    let row = sqlx::query!(
        "select coalesce(a.requested_by_login, r.requested_by_login) as \"login!\", \
             coalesce(a.requested_by_id, r.requested_by_id) as \"id!\", \
             coalesce(a.requested_by_bot, r.requested_by_bot) as \"is_bot!\" \
         from attempts a join runs r on r.id = a.run_id where a.run_id = $1 and a.attempt = $2",
        run.as_uuid(),
        attempt_number(attempt),
    )
    .fetch_optional(conn)
    .await?;
    let row = row.ok_or_else(|| StoreError::missing("attempt", &format!("{run}/{attempt}")))?;
    Ok(Requester { login: row.login, id: row.id, is_bot: row.is_bot })
}

/// Begins an attempt; [`crate::runs::insert`] and [`crate::runs::begin_attempt`] have done so already. False if it is there.
///
/// # Errors
/// The run is not there, or the database fails.
pub async fn insert(conn: &mut PgConnection, run: RunId, attempt: Attempt, now: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query!(
        "insert into attempts (run_id, attempt, started_at) values ($1, $2, $3) on conflict do nothing",
        run.as_uuid(),
        attempt_number(attempt),
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// This attempt.
///
/// # Errors
/// It is not there, or the database fails.
pub async fn get(conn: &mut PgConnection, run: RunId, attempt: Attempt) -> Result<AttemptRecord> {
    select_attempts!("where run_id = $1 and attempt = $2", run.as_uuid(), attempt_number(attempt))
        .fetch_optional(conn)
        .await?
        .ok_or_else(|| StoreError::missing("attempt", &format!("{run}/{attempt}")))?
        .try_into()
}

/// Every attempt of a run, the first one first.
///
/// # Errors
/// The database fails.
pub async fn list(conn: &mut PgConnection, run: RunId) -> Result<Vec<AttemptRecord>> {
    select_attempts!("where run_id = $1 order by attempt", run.as_uuid())
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(AttemptRecord::try_from)
        .collect()
}

/// What is new about the Job of an attempt.
#[derive(Clone, Copy)]
pub struct JobUpdate<'a> {
    /// Where it is.
    pub state: JobState,
    /// Its name; none keeps what there is.
    pub name: Option<&'a str>,
    /// The hash of its launch token; none keeps what there is.
    pub token_hash: Option<&'a [u8]>,
    /// Now. Counts as having heard of the Job.
    pub now: DateTime<Utc>,
}

/// Writes down where the Job is. It never goes back: false if it was further already, or the attempt is not there.
///
/// # Errors
/// The database fails.
pub async fn set_job(conn: &mut PgConnection, run: RunId, attempt: Attempt, job: JobUpdate<'_>) -> Result<bool> {
    let earlier: Vec<String> =
        JobState::ALL.iter().filter(|state| **state <= job.state).map(|state| state.as_str().to_owned()).collect();
    let done = sqlx::query!(
        "update attempts set job_state = $3, job_name = coalesce($4, job_name), \
             token_hash = coalesce($5, token_hash), job_heartbeat_at = greatest(job_heartbeat_at, $6) \
         where run_id = $1 and attempt = $2 and job_state = any($7)",
        run.as_uuid(),
        attempt_number(attempt),
        job.state.as_str(),
        job.name,
        job.token_hash,
        job.now,
        &earlier,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Notes that the Job was heard of. True once its end was asked for, or the attempt has ended: then it should stop.
///
/// # Errors
/// The attempt is not there, or the database fails.
pub async fn heartbeat(conn: &mut PgConnection, run: RunId, attempt: Attempt, now: DateTime<Utc>) -> Result<bool> {
    let stop = sqlx::query_scalar!(
        "update attempts set job_heartbeat_at = greatest(job_heartbeat_at, $3), \
             job_state = case when job_state in ('none', 'launching') then 'running' else job_state end \
         where run_id = $1 and attempt = $2 \
         returning (cancel_requested_at is not null or stop_requested_at is not null or finished_at is not null) as \"stop!\"",
        run.as_uuid(),
        attempt_number(attempt),
        now,
    )
    .fetch_optional(conn)
    .await?;
    stop.ok_or_else(|| StoreError::missing("attempt", &format!("{run}/{attempt}")))
}

/// Notes that we ask the Job of an attempt to end, for whatever reason; it learns it at its next heartbeat, too.
///
/// # Errors
/// The database fails.
pub async fn request_stop(conn: &mut PgConnection, run: RunId, attempt: Attempt, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update attempts set stop_requested_at = $3 \
         where run_id = $1 and attempt = $2 and stop_requested_at is null",
        run.as_uuid(),
        attempt_number(attempt),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Asks for the end of an attempt; its Job learns it at its next heartbeat. False if it was asked for before.
///
/// # Errors
/// The database fails.
pub async fn request_cancel(conn: &mut PgConnection, run: RunId, attempt: Attempt, now: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query!(
        "update attempts set cancel_requested_at = $3 \
         where run_id = $1 and attempt = $2 and cancel_requested_at is null",
        run.as_uuid(),
        attempt_number(attempt),
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Stores the runner's report. The first one stays: false if there was one.
///
/// # Errors
/// The database fails.
pub async fn store_report(conn: &mut PgConnection, run: RunId, attempt: Attempt, report: &Value) -> Result<bool> {
    let done = sqlx::query!(
        "update attempts set report = $3, job_state = 'ended' where run_id = $1 and attempt = $2 and report is null",
        run.as_uuid(),
        attempt_number(attempt),
        &*clean_json(report),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// The runner's report, once it is there.
///
/// # Errors
/// The database fails.
pub async fn report(conn: &mut PgConnection, run: RunId, attempt: Attempt) -> Result<Option<Value>> {
    let report = sqlx::query_scalar!(
        "select report from attempts where run_id = $1 and attempt = $2",
        run.as_uuid(),
        attempt_number(attempt),
    )
    .fetch_optional(conn)
    .await?;
    Ok(report.flatten())
}

/// What is known of an attempt's Job without looking for it.
#[derive(Clone, Debug, PartialEq)]
pub struct LastHeard {
    /// Where the Job is.
    pub state: JobState,
    /// When it was last heard of.
    pub heartbeat_at: Option<DateTime<Utc>>,
    /// The runner's report, once it is there.
    pub report: Option<Value>,
    /// We have asked the Job to end, or the attempt is over.
    pub is_stopped: bool,
    /// The same, or a person has asked for its end through us.
    pub is_asked_to_end: bool,
}

/// What is known of an attempt's Job. Little is read: hundreds ask, again and again.
///
/// # Errors
/// The attempt is not there, or the database fails.
pub async fn last_heard(conn: &mut PgConnection, run: RunId, attempt: Attempt) -> Result<LastHeard> {
    let row = sqlx::query!(
        "select job_state, job_heartbeat_at, report, \
             stop_requested_at is not null or finished_at is not null as \"is_stopped!\", \
             cancel_requested_at is not null as \"is_cancelled!\" \
         from attempts where run_id = $1 and attempt = $2",
        run.as_uuid(),
        attempt_number(attempt),
    )
    .fetch_optional(conn)
    .await?;
    let row = row.ok_or_else(|| StoreError::missing("attempt", &format!("{run}/{attempt}")))?;
    Ok(LastHeard {
        state: convert::parse("attempts", "job_state", &row.job_state)?,
        heartbeat_at: row.job_heartbeat_at,
        report: row.report,
        is_stopped: row.is_stopped,
        is_asked_to_end: row.is_stopped || row.is_cancelled,
    })
}

/// Why the attempt before was lost, if this one was begun because of that, and nobody asked for it.
///
/// # Errors
/// The database fails.
pub async fn lost_before(conn: &mut PgConnection, run: RunId, attempt: Attempt) -> Result<Option<String>> {
    let Some(before) = attempt.0.checked_sub(1).map(Attempt) else { return Ok(None) };
    let key = BusinessKey::after_lost(run, before);
    let cause = sqlx::query_scalar!(
        "select lost.cause from attempts lost join attempts next using (run_id) \
         where run_id = $1 and lost.attempt = $2 and next.attempt = $3 and next.business_key = $4",
        run.as_uuid(),
        attempt_number(before),
        attempt_number(attempt),
        key.as_str(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(cause.flatten())
}

/// Writes down where the packed workspace is.
///
/// # Errors
/// The database fails.
pub async fn set_workspace_blob(conn: &mut PgConnection, run: RunId, attempt: Attempt, key: &str) -> Result<()> {
    sqlx::query!(
        "update attempts set workspace_blob = $3 where run_id = $1 and attempt = $2",
        run.as_uuid(),
        attempt_number(attempt),
        key,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes down where the result bundle is.
///
/// # Errors
/// The database fails.
pub async fn set_result_blob(conn: &mut PgConnection, run: RunId, attempt: Attempt, key: &str) -> Result<()> {
    sqlx::query!(
        "update attempts set result_blob = $3 where run_id = $1 and attempt = $2",
        run.as_uuid(),
        attempt_number(attempt),
        key,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes down the whole prompt.
///
/// # Errors
/// The database fails.
pub async fn set_prompt(conn: &mut PgConnection, run: RunId, attempt: Attempt, prompt: &str) -> Result<()> {
    sqlx::query!(
        "update attempts set prompt = $3 where run_id = $1 and attempt = $2",
        run.as_uuid(),
        attempt_number(attempt),
        &clean(prompt),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug)]
pub struct AttemptEnd<'a> {
    /// The class.
    pub outcome: Outcome,
    /// Why, as a sentence.
    pub cause: &'a str,
    /// Now.
    pub now: DateTime<Utc>,
}

/// Ends an attempt alone; [`crate::runs::finish`] ends the run with it. The first end stays: false if it had ended.
///
/// # Errors
/// The database fails.
pub async fn finish(conn: &mut PgConnection, run: RunId, attempt: Attempt, end: AttemptEnd<'_>) -> Result<bool> {
    let done = sqlx::query!(
        "update attempts set outcome = $3, cause = $4, finished_at = $5 \
         where run_id = $1 and attempt = $2 and finished_at is null",
        run.as_uuid(),
        attempt_number(attempt),
        end.outcome.as_str(),
        &clean(end.cause),
        end.now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Keeps the trace context of what asked for an attempt. The first one stays.
///
/// # Errors
/// The database fails.
pub async fn set_traceparent(conn: &mut PgConnection, run: RunId, attempt: Attempt, traceparent: &str) -> Result<()> {
    sqlx::query!(
        "update attempts set traceparent = $3 where run_id = $1 and attempt = $2 and traceparent is null",
        run.as_uuid(),
        attempt_number(attempt),
        traceparent,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The trace context of what asked for an attempt, if it was traced.
///
/// # Errors
/// The database fails.
pub async fn traceparent(conn: &mut PgConnection, run: RunId, attempt: Attempt) -> Result<Option<String>> {
    Ok(sqlx::query_scalar!(
        "select traceparent from attempts where run_id = $1 and attempt = $2",
        run.as_uuid(),
        attempt_number(attempt),
    )
    .fetch_optional(conn)
    .await?
    .flatten())
}
