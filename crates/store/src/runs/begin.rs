//! How runs and attempts begin.

use chrono::{DateTime, Utc};
use domain::{
    ids::{Attempt, ProjectId, RepositoryId, RunId},
    run::Step,
};
use serde_json::Value;
use sqlx::{Acquire, PgConnection};
use uuid::Uuid;

use crate::{
    Result, StoreError, SubjectKind,
    convert::{attempt, attempt_number, clean, clean_json},
};

/// How often a run that ended between two statements is tried again.
const TRIES: usize = 5;

/// A run to be begun.
#[derive(Clone, Debug)]
pub struct NewRun<'a> {
    /// Where it works.
    pub repository: RepositoryId,
    /// Whose slots it takes.
    pub project: ProjectId,
    /// What it is about.
    pub subject_kind: SubjectKind,
    /// Number of the issue or pull request.
    pub subject_number: i64,
    /// Its title.
    pub subject_title: &'a str,
    /// Name of the agent.
    pub agent: &'a str,
    /// What asked for it, as a word: `a-z` and `_`.
    pub trigger_kind: &'a str,
    /// The particulars.
    pub trigger_detail: Value,
    /// What makes the same wish told twice one run.
    pub business_key: &'a str,
    /// Who asks.
    pub requested_by_login: &'a str,
    /// The forge's id of who asks.
    pub requested_by_id: i64,
    /// What they said beyond the command.
    pub instructions: &'a str,
    /// The runs that led to this one, oldest first.
    pub cause_chain: &'a [RunId],
    /// When it counts as lost if nothing was heard.
    pub deadline_at: Option<DateTime<Utc>>,
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
        if let Some(id) = sqlx::query_scalar!("select id from runs where business_key = $1", &clean(new.business_key))
            .fetch_optional(&mut *conn)
            .await?
        {
            return Ok(NewRunResult::SameKey(RunId::from_uuid(id)));
        }
        if let Some(id) = active_id(conn, new.repository, new.subject_kind, new.subject_number).await? {
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
                 trigger_kind, trigger_detail, business_key, requested_by_login, requested_by_id, instructions, \
                 cause_chain, deadline_at, created_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
             on conflict do nothing returning id, created_at) \
         insert into attempts (run_id, attempt, started_at) select id, 1, created_at from begun returning run_id",
        Uuid::now_v7(),
        new.repository.as_uuid(),
        new.project.as_uuid(),
        new.subject_kind.as_str(),
        new.subject_number,
        &clean(new.subject_title),
        &clean(new.agent),
        new.trigger_kind,
        &*clean_json(&new.trigger_detail),
        &clean(new.business_key),
        &clean(new.requested_by_login),
        new.requested_by_id,
        &clean(new.instructions),
        Value::Array(cause_chain),
        new.deadline_at,
        new.now,
    )
    .fetch_optional(conn)
    .await?)
}

async fn active_id(
    conn: &mut PgConnection,
    repository: RepositoryId,
    kind: SubjectKind,
    number: i64,
) -> Result<Option<RunId>> {
    let id = sqlx::query_scalar!(
        "select id from runs \
         where repository_id = $1 and subject_kind = $2 and subject_number = $3 and state <> 'finished'",
        repository.as_uuid(),
        kind.as_str(),
        number,
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.map(RunId::from_uuid))
}

/// Why a run can't be tried again now.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
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
/// The run has not ended, another one is at work there, or the store fails. Only the last loses the transaction.
pub async fn begin_attempt(
    conn: &mut PgConnection,
    run: RunId,
    from_step: Option<Step>,
    now: DateTime<Utc>,
    deadline_at: Option<DateTime<Utc>>,
) -> Result<Attempt, RetryError> {
    let mut inner = conn.begin().await?;
    let before = sqlx::query!(
        "select repository_id, subject_kind, subject_number, state from runs where id = $1 for update",
        run.as_uuid()
    )
    .fetch_optional(&mut *inner)
    .await?
    .ok_or_else(|| StoreError::missing("run", &run))?;
    if before.state != "finished" {
        return Err(RetryError::Unfinished);
    }
    let moved = sqlx::query_scalar!(
        "update runs set attempt = attempt + 1, state = 'queued', state_seq = 0, step = null, outcome = null, \
             cause = null, finished_at = null, deadline_at = $2 \
         where id = $1 returning attempt",
        run.as_uuid(),
        deadline_at,
    )
    .fetch_one(&mut *inner)
    .await
    .map_err(StoreError::from);
    let number = match moved {
        Ok(number) => number,
        Err(StoreError::Conflict { constraint }) => {
            // Only the savepoint is lost, so that the caller can still write why.
            inner.rollback().await?;
            let repository = RepositoryId::from_uuid(before.repository_id);
            let kind = crate::convert::parse("runs", "subject_kind", &before.subject_kind)?;
            let busy = active_id(conn, repository, kind, before.subject_number).await?;
            return Err(busy.map_or(RetryError::Store(StoreError::Conflict { constraint }), RetryError::SubjectBusy));
        }
        Err(error) => return Err(error.into()),
    };
    let attempt = attempt("runs", number)?;
    sqlx::query!(
        "insert into attempts (run_id, attempt, from_step, started_at) values ($1, $2, $3, $4)",
        run.as_uuid(),
        attempt_number(attempt),
        from_step.map(Step::as_str),
        now,
    )
    .execute(&mut *inner)
    .await?;
    inner.commit().await?;
    Ok(attempt)
}
