//! How runs and attempts begin.

use chrono::{DateTime, Utc};
use domain::{
    event::{Sender, Subject},
    ids::{Attempt, ProjectId, RepositoryId, RunId},
    run::Step,
    services_yaml::AgentName,
    triggers::{BusinessKey, EarlierWork, Trigger},
};
use serde_json::Value;
use sqlx::{Acquire, PgConnection};
use uuid::Uuid;

use crate::{
    Result, StoreError,
    convert::{attempt, attempt_number, clean, parse, to_json},
};

/// How often a run that ended between two statements is tried again.
const TRIES: usize = 5;

/// A run to be begun.
#[derive(Clone, Copy, Debug)]
pub struct NewRun<'a> {
    /// Where it works.
    pub repository_id: RepositoryId,
    /// Whose slots it takes.
    pub project_id: ProjectId,
    /// What it is about.
    pub subject: Subject,
    /// Its title.
    pub subject_title: &'a str,
    /// Name of the agent.
    pub agent: &'a AgentName,
    /// What asked for it.
    pub trigger: &'a Trigger,
    /// What makes the same wish told twice one run.
    pub business_key: &'a BusinessKey,
    /// Who asks.
    pub requested_by: &'a Sender,
    /// What they said beyond the command.
    pub instructions: &'a str,
    /// The runs that led to this one, oldest first.
    pub cause_chain: &'a [RunId],
    /// How many runs in a row, this one included, were caused by machines.
    pub machine_depth: u32,
    /// When it counts as lost if nothing was heard.
    pub deadline_at: DateTime<Utc>,
    /// Now.
    pub now: DateTime<Utc>,
}

/// What became of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewRunResult {
    /// The run is begun, with its first attempt.
    Started(RunId),
    /// This wish was told before.
    SameKey(RunId),
    /// Another run is at work there.
    SubjectBusy(RunId),
}

/// Begins a run with its first attempt, unless the wish was told before or another run is at work there. Waits for a
/// transaction that is beginning either.
///
/// # Errors
/// The database fails.
pub async fn insert(conn: &mut PgConnection, new: &NewRun<'_>) -> Result<NewRunResult> {
    for _ in 0..TRIES {
        if let Some(id) = try_insert(conn, new).await? {
            return Ok(NewRunResult::Started(RunId::from_uuid(id)));
        }
        if let Some(id) = sqlx::query_scalar!("select id from runs where business_key = $1", new.business_key.as_str())
            .fetch_optional(&mut *conn)
            .await?
        {
            return Ok(NewRunResult::SameKey(RunId::from_uuid(id)));
        }
        if let Some(id) = active_id(conn, new.repository_id, new.subject).await? {
            return Ok(NewRunResult::SubjectBusy(id));
        }
        // The run that was in the way ended in between.
    }
    Err(StoreError::Conflict { constraint: "runs_one_active_per_subject".to_owned() })
}

async fn try_insert(conn: &mut PgConnection, new: &NewRun<'_>) -> Result<Option<Uuid>> {
    let cause_chain: Vec<Value> = new.cause_chain.iter().map(|run| Value::String(run.to_string())).collect();
    Ok(sqlx::query_scalar!(
        "with begun as ( \
             insert into runs (id, repository_id, project_id, subject_kind, subject_number, subject_title, agent, \
                 trigger_kind, trigger_detail, business_key, requested_by_login, requested_by_id, requested_by_bot, \
                 instructions, cause_chain, machine_depth, deadline_at, created_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) \
             on conflict do nothing returning id, created_at) \
         insert into attempts (run_id, attempt, started_at) select id, 1, created_at from begun returning run_id",
        Uuid::now_v7(),
        new.repository_id.as_uuid(),
        new.project_id.as_uuid(),
        new.subject.kind.as_str(),
        new.subject.number,
        &clean(new.subject_title),
        new.agent.as_str(),
        new.trigger.kind().as_str(),
        to_json("runs", "trigger_detail", new.trigger)?,
        new.business_key.as_str(),
        &clean(&new.requested_by.login),
        new.requested_by.id,
        new.requested_by.is_bot,
        &clean(new.instructions),
        Value::Array(cause_chain),
        i32::try_from(new.machine_depth).unwrap_or(i32::MAX),
        new.deadline_at,
        new.now,
    )
    .fetch_optional(conn)
    .await?)
}

async fn active_id(conn: &mut PgConnection, repository: RepositoryId, subject: Subject) -> Result<Option<RunId>> {
    let id = sqlx::query_scalar!(
        "select id from runs \
         where repository_id = $1 and subject_kind = $2 and subject_number = $3 and state <> 'finished'",
        repository.as_uuid(),
        subject.kind.as_str(),
        subject.number,
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.map(RunId::from_uuid))
}

/// An attempt to be begun.
#[derive(Clone, Copy, Debug)]
pub struct NewAttempt<'a> {
    /// The run.
    pub run: RunId,
    /// Where it begins; none is the start.
    pub from_step: Option<Step>,
    /// What becomes of the work that an earlier attempt's agent had done.
    pub earlier_work: EarlierWork,
    /// What makes the same wish told twice one attempt.
    pub business_key: &'a BusinessKey,
    /// Who asks.
    pub requested_by: &'a Sender,
    /// When the run counts as lost if nothing was heard.
    pub deadline_at: DateTime<Utc>,
    /// Now.
    pub now: DateTime<Utc>,
}

/// Why a run can't be tried again now.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// This wish was told before.
    #[error("attempt {attempt} of run {run} was begun by this already")]
    SameKey {
        /// The run.
        run: RunId,
        /// Its attempt.
        attempt: Attempt,
    },
    /// It has not ended.
    #[error("the run has not ended yet")]
    Unfinished,
    /// Another run is at work on the same issue or pull request.
    #[error("run {0} is at work there")]
    SubjectBusy(RunId),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for RetryError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Begins the next attempt of a run that ended, queued again.
///
/// # Errors
/// The wish was told before, the run has not ended, another one is at work there, or the store fails. Only the last loses
/// the transaction.
pub async fn begin_attempt(conn: &mut PgConnection, new: NewAttempt<'_>) -> Result<Attempt, RetryError> {
    // Who retries the same run waits here, so that what follows sees what they did.
    let before = sqlx::query!(
        "select repository_id, subject_kind, subject_number, state from runs where id = $1 for update",
        new.run.as_uuid()
    )
    .fetch_optional(&mut *conn)
    .await?
    .ok_or_else(|| StoreError::missing("run", &new.run))?;
    if let Some(same) =
        sqlx::query!("select run_id, attempt from attempts where business_key = $1", new.business_key.as_str())
            .fetch_optional(&mut *conn)
            .await?
    {
        let attempt = attempt("attempts", same.attempt)?;
        return Err(RetryError::SameKey { run: RunId::from_uuid(same.run_id), attempt });
    }
    if before.state != "finished" {
        return Err(RetryError::Unfinished);
    }
    match queue_again(conn, new).await {
        Err(StoreError::Conflict { constraint }) => {
            let subject =
                Subject { kind: parse("runs", "subject_kind", &before.subject_kind)?, number: before.subject_number };
            let busy = active_id(conn, RepositoryId::from_uuid(before.repository_id), subject).await?;
            Err(busy.map_or(RetryError::Store(StoreError::Conflict { constraint }), RetryError::SubjectBusy))
        }
        outcome => Ok(outcome?),
    }
}

/// In a savepoint, so that after a conflict the caller can still write why.
async fn queue_again(conn: &mut PgConnection, new: NewAttempt<'_>) -> Result<Attempt> {
    let mut inner = conn.begin().await?;
    let number = sqlx::query_scalar!(
        "update runs set attempt = attempt + 1, state = 'queued', state_seq = 0, step = null, outcome = null, \
             cause = null, finished_at = null, deadline_at = $2 \
         where id = $1 returning attempt",
        new.run.as_uuid(),
        new.deadline_at,
    )
    .fetch_one(&mut *inner)
    .await?;
    let attempt = attempt("runs", number)?;
    let continues = match new.earlier_work {
        EarlierWork::Kept(earlier) => Some(earlier),
        EarlierWork::NotAsked | EarlierWork::NoneKept => None,
    };
    sqlx::query!(
        "insert into attempts (run_id, attempt, from_step, business_key, requested_by_login, requested_by_id, \
             requested_by_bot, started_at, asked_to_continue, continues_attempt) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        new.run.as_uuid(),
        attempt_number(attempt),
        new.from_step.map(Step::as_str),
        new.business_key.as_str(),
        &clean(&new.requested_by.login),
        new.requested_by.id,
        new.requested_by.is_bot,
        new.now,
        new.earlier_work != EarlierWork::NotAsked,
        continues.map(attempt_number),
    )
    .execute(&mut *inner)
    .await?;
    inner.commit().await?;
    Ok(attempt)
}
