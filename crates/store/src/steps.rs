//! Steps of attempts: how often each was tried, what it gave, why it failed.

use chrono::{DateTime, Utc};
use domain::{
    ids::{Attempt, RunId},
    run::{RunState, Step},
};
use serde_json::Value;
use sqlx::PgConnection;

use crate::{
    Result, StepState, StoreError,
    convert::{self, attempt_number, clean, clean_json},
};

/// Names a step of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepKey {
    /// The run.
    pub run: RunId,
    /// Its attempt.
    pub attempt: Attempt,
    /// The step.
    pub step: Step,
}

/// A step as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRow {
    /// The attempt.
    pub attempt: Attempt,
    /// The step.
    pub step: Step,
    /// How often it was begun.
    pub tries: u32,
    /// Where it is.
    pub state: StepState,
    /// What it gave.
    pub output: Option<Value>,
    /// Why it failed, or failed the last time.
    pub error: Option<String>,
    /// When it was first begun.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Until when it waits, because the forge or our own pace said so.
    pub wait_until: Option<DateTime<Utc>>,
}

struct Row {
    attempt: i32,
    step: String,
    tries: i32,
    state: String,
    output: Option<Value>,
    error: Option<String>,
    started_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    wait_until: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for StepRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            attempt: convert::attempt("steps", row.attempt)?,
            step: convert::parse("steps", "step", &row.step)?,
            tries: convert::unsigned("steps", "tries", row.tries)?,
            state: convert::parse("steps", "state", &row.state)?,
            output: row.output,
            error: row.error,
            started_at: row.started_at,
            finished_at: row.finished_at,
            wait_until: row.wait_until,
        })
    }
}

/// What is told of a run as a step of it begins.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Where the run is; another than finished, to which [`crate::runs::finish`] brings it.
    pub state: RunState,
    /// It counts as lost if nothing more is heard of it until then.
    pub heard_until: DateTime<Utc>,
    /// Now.
    pub now: DateTime<Utc>,
}

impl Entry {
    /// An attempt only goes forward through its steps, and within a step from waiting to working: so the place is the sequence
    /// by which what is told late is known.
    fn seq(self, step: Step) -> i64 {
        let place = |all: usize, found: Option<usize>| i64::try_from(found.unwrap_or(all)).unwrap_or(i64::MAX);
        let states = RunState::ALL.len();
        let state_place = place(states, RunState::ALL.iter().position(|known| *known == self.state));
        let step_place = place(Step::ALL.len(), Step::ALL.iter().position(|known| *known == step));
        1 + step_place * place(states, None) + state_place
    }
}

/// Begins a step as [`begin`] does, moves the run's row there, and notes that the run was heard of as [`crate::runs::heard`] does: in
/// one write, since every step begins with all of them. The row does not move if this is told late, the attempt has ended, or a later
/// one has begun. The run's row is locked before the step's, since the step's is made from the outcome of the run's.
///
/// # Errors
/// The attempt is not there, or the database fails.
pub async fn enter(conn: &mut PgConnection, key: StepKey, entry: Entry) -> Result<()> {
    sqlx::query!(
        "with moved as ( \
             update runs set state = case when state_seq < $5 then $4 else state end, \
                 step = case when state_seq < $5 then $3 else step end, \
                 started_at = case when state_seq < $5 and $4 = 'working' then coalesce(started_at, $7) else started_at end, \
                 state_seq = greatest(state_seq, $5), deadline_at = greatest(deadline_at, $6) \
             where id = $1 and attempt = $2 and state <> 'finished' and (state_seq < $5 or deadline_at < $6) returning id) \
         insert into steps (run_id, attempt, step, state, started_at) \
             select $1, $2, $3, 'running', $7 from (select count(*) from moved) as first \
         on conflict (run_id, attempt, step) do update set tries = steps.tries + 1, \
             state = case when steps.state = 'done' then 'done' else 'running' end, wait_until = null, \
             finished_at = case when steps.state = 'done' then steps.finished_at end",
        key.run.as_uuid(),
        attempt_number(key.attempt),
        key.step.as_str(),
        entry.state.as_str(),
        entry.seq(key.step),
        entry.heard_until,
        entry.now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Begins a step, or begins it again and counts that. A step that is done stays done: its answer was lost on the way, and
/// the stored output is as good.
///
/// # Errors
/// The attempt is not there, or the database fails.
pub async fn begin(conn: &mut PgConnection, key: StepKey, now: DateTime<Utc>) -> Result<StepRow> {
    sqlx::query_as!(
        Row,
        "insert into steps (run_id, attempt, step, state, started_at) values ($1, $2, $3, 'running', $4) \
         on conflict (run_id, attempt, step) do update set tries = steps.tries + 1, \
             state = case when steps.state = 'done' then 'done' else 'running' end, wait_until = null, \
             finished_at = case when steps.state = 'done' then steps.finished_at end \
         returning attempt, step, tries, state, output, error, started_at, finished_at, wait_until",
        key.run.as_uuid(),
        attempt_number(key.attempt),
        key.step.as_str(),
        now,
    )
    .fetch_one(conn)
    .await?
    .try_into()
}

/// Ends a step well. The first output stays.
///
/// # Errors
/// The database fails.
pub async fn done(conn: &mut PgConnection, key: StepKey, output: &Value, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "insert into steps (run_id, attempt, step, state, output, started_at, finished_at) \
         values ($1, $2, $3, 'done', $4, $5, $5) \
         on conflict (run_id, attempt, step) do update \
             set state = 'done', output = excluded.output, error = null, finished_at = excluded.finished_at, wait_until = null \
             where steps.state <> 'done'",
        key.run.as_uuid(),
        attempt_number(key.attempt),
        key.step.as_str(),
        &*clean_json(output),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that a step failed; it may be begun again. One that is done stays done.
///
/// # Errors
/// The database fails.
pub async fn failed(conn: &mut PgConnection, key: StepKey, error: &str, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "insert into steps (run_id, attempt, step, state, error, started_at, finished_at) \
         values ($1, $2, $3, $4, $5, $6, $6) \
         on conflict (run_id, attempt, step) do update \
             set state = excluded.state, error = excluded.error, finished_at = excluded.finished_at, wait_until = null \
             where steps.state <> 'done'",
        key.run.as_uuid(),
        attempt_number(key.attempt),
        key.step.as_str(),
        StepState::Failed.as_str(),
        &clean(error),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that a step waits, for what, and until when; it is begun again then. One that is done stays done.
///
/// # Errors
/// The database fails.
pub async fn waits(conn: &mut PgConnection, key: StepKey, error: &str, until: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update steps set error = $4, wait_until = $5 \
         where run_id = $1 and attempt = $2 and step = $3 and state <> 'done'",
        key.run.as_uuid(),
        attempt_number(key.attempt),
        key.step.as_str(),
        &clean(error),
        until,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that a step waits no longer.
///
/// # Errors
/// The database fails.
pub async fn waits_no_longer(conn: &mut PgConnection, key: StepKey) -> Result<()> {
    sqlx::query!(
        "update steps set error = null, wait_until = null \
         where run_id = $1 and attempt = $2 and step = $3 and state <> 'done' and wait_until is not null",
        key.run.as_uuid(),
        attempt_number(key.attempt),
        key.step.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Until when steps of this kind wait, of all attempts that are at one and do.
///
/// # Errors
/// The database fails.
pub async fn waiting_at(conn: &mut PgConnection, step: Step) -> Result<Vec<(RunId, Attempt, DateTime<Utc>)>> {
    let rows = sqlx::query!(
        "select r.id, r.attempt, s.wait_until as \"until!\" from runs r \
         join steps s on s.run_id = r.id and s.attempt = r.attempt and s.step = r.step \
         where r.state <> 'finished' and r.step = $1 and s.wait_until is not null",
        step.as_str(),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| Ok((RunId::from_uuid(row.id), convert::attempt("runs", row.attempt)?, row.until)))
        .collect()
}

/// What a step gave, once it is done.
///
/// # Errors
/// The database fails.
pub async fn output(conn: &mut PgConnection, key: StepKey) -> Result<Option<Value>> {
    let output = sqlx::query_scalar!(
        "select output from steps where run_id = $1 and attempt = $2 and step = $3 and state = 'done'",
        key.run.as_uuid(),
        attempt_number(key.attempt),
        key.step.as_str(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(output.flatten())
}

/// Every step of every attempt of a run, in order of their beginning.
///
/// # Errors
/// The database fails.
pub async fn list(conn: &mut PgConnection, run: RunId) -> Result<Vec<StepRow>> {
    let rows = sqlx::query_as!(
        Row,
        "select attempt, step, tries, state, output, error, started_at, finished_at, wait_until from steps where run_id = $1",
        run.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    let mut steps = rows.into_iter().map(StepRow::try_from).collect::<Result<Vec<_>>>()?;
    // The steps of an attempt have one order, whatever the clocks of the workers say.
    steps.sort_by_key(|row| (row.attempt, row.step));
    Ok(steps)
}

/// The latest step, `wanted` at most, at which another attempt of a run can begin: what comes before it was done by the newest
/// attempt that was allowed to run, and is still there: bundles go after a while, both at once.
///
/// # Errors
/// The database fails.
pub async fn latest_beginning(conn: &mut PgConnection, run: RunId, wanted: Step) -> Result<Step> {
    let before = sqlx::query!(
        "select a.report is not null and a.workspace_blob is not null as \"reported!\", a.prompt is not null as \"prompted!\", \
         exists (select from steps s where s.run_id = $1 and s.attempt = a.attempt and s.step = $2 and s.state = 'done') \
             as \"cloned!\" \
         from attempts a where a.run_id = $1 and not a.withdrawn order by a.attempt desc limit 1",
        run.as_uuid(),
        Step::Clone.as_str(),
    )
    .fetch_optional(conn)
    .await?;
    let has = |of: Step| match (&before, of) {
        (None, _) => false,
        (Some(before), Step::Clone) => before.cloned,
        (Some(before), Step::Prompt) => before.prompted,
        (Some(before), Step::Agent) => before.reported,
        (Some(_), _) => true,
    };
    let missing = [Step::Clone, Step::Prompt, Step::Agent].into_iter().find(|step| *step < wanted && !has(*step));
    Ok(match missing {
        // An agent begins with a Job of its own.
        Some(Step::Agent) => Step::Launch,
        Some(step) => step,
        None => wanted,
    })
}

/// Gives an attempt what the newest earlier one that was allowed to run had done before a step, so that it can begin there:
/// the steps after its slot with their outputs, the packed workspace, and the prompt with the version of the agent that it is made from. Returns
/// how many steps were copied.
///
/// # Errors
/// The attempt is not there, or the database fails.
pub async fn copy_outputs(conn: &mut PgConnection, run: RunId, to_attempt: Attempt, before_step: Step) -> Result<u64> {
    let from_attempt = sqlx::query_scalar!(
        "select attempt from attempts where run_id = $1 and attempt < $2 and not withdrawn order by attempt desc limit 1",
        run.as_uuid(),
        attempt_number(to_attempt),
    )
    .fetch_optional(&mut *conn)
    .await?;
    match from_attempt {
        Some(number) => {
            copy_outputs_of(conn, run, convert::attempt("attempts", number)?, to_attempt, before_step).await
        }
        None => Ok(0),
    }
}

/// The same from a certain earlier attempt.
///
/// # Errors
/// The attempt is not there, or the database fails.
pub async fn copy_outputs_of(
    conn: &mut PgConnection,
    run: RunId,
    from_attempt: Attempt,
    to_attempt: Attempt,
    before_step: Step,
) -> Result<u64> {
    // Each attempt asks for its own sender's rights, and for a slot of its own.
    let taken_over = Step::ALL.iter().filter(|step| **step > Step::Slot && **step < before_step);
    let names: Vec<String> = taken_over.map(|step| step.as_str().to_owned()).collect();
    let copied = sqlx::query!(
        "insert into steps (run_id, attempt, step, tries, state, output, started_at, finished_at) \
         select run_id, $3, step, tries, state, output, started_at, finished_at from steps \
         where run_id = $1 and attempt = $2 and state = 'done' and step = any($4) on conflict do nothing",
        run.as_uuid(),
        attempt_number(from_attempt),
        attempt_number(to_attempt),
        &names,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "update attempts t set \
             workspace_blob = case when $4 then coalesce(t.workspace_blob, f.workspace_blob) else t.workspace_blob end, \
             prompt = case when $5 then coalesce(t.prompt, f.prompt) else t.prompt end, \
             agent_version = case when $5 then coalesce(t.agent_version, f.agent_version) else t.agent_version end, \
             report = case when $6 then coalesce(t.report, f.report) else t.report end, \
             result_blob = case when $6 then coalesce(t.result_blob, f.result_blob) else t.result_blob end \
         from attempts f where f.run_id = $1 and f.attempt = $2 and t.run_id = $1 and t.attempt = $3",
        run.as_uuid(),
        attempt_number(from_attempt),
        attempt_number(to_attempt),
        before_step > Step::Clone,
        before_step > Step::Prompt,
        before_step > Step::Agent,
    )
    .execute(conn)
    .await?;
    Ok(copied.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_forward_is_a_greater_sequence() {
        let now = DateTime::UNIX_EPOCH;
        let seq = |state, step| Entry { state, heard_until: now, now }.seq(step);
        let forward: Vec<_> =
            Step::ALL.iter().flat_map(|step| RunState::ALL.iter().map(|state| seq(*state, *step))).collect();
        assert!(forward[0] > 0);
        assert!(forward.is_sorted_by(|earlier, later| earlier < later), "{forward:?}");
    }
}
