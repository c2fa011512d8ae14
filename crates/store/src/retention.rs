//! What is kept for a time only: raw payloads of deliveries, logs, what the cluster said about Jobs, kept states of agents' work,
//! and bundles. The ledger, runs and audit stay.

use chrono::{DateTime, Utc};
use domain::ids::{Attempt, RunId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result,
    blobs::BlobKey,
    convert::{self, attempt_number},
};

/// An attempt that left behind what is old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfAttempt {
    /// The run.
    pub run: RunId,
    /// Its attempt.
    pub attempt: Attempt,
}

/// Drops the oldest day of payloads that was over before `cutoff`; false if there is none. To be called in a transaction of
/// its own: nobody stores a payload until that ends.
///
/// # Errors
/// The database fails, or somebody else is at the payloads for longer than webhooks should wait.
pub async fn drop_payload_day(conn: &mut PgConnection, cutoff: DateTime<Utc>) -> Result<bool> {
    let dropped = sqlx::query_scalar!("select drop_old_payloads($1)", cutoff).fetch_one(conn).await?;
    Ok(dropped.is_some())
}

/// Deletes payloads from before `cutoff` that had no partition of their own, at most so many; says how many.
///
/// # Errors
/// The database fails.
pub async fn delete_stray_payloads(conn: &mut PgConnection, cutoff: DateTime<Utc>, most: u32) -> Result<u64> {
    let done = sqlx::query!(
        "delete from delivery_payloads_default where (delivery_id, received_at) in \
             (select delivery_id, received_at from delivery_payloads_default where received_at < $1 limit $2)",
        cutoff,
        i64::from(most),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// The attempts, at most so many, whose logs are to be deleted: those of runs that ended before `cutoff`. What a log is
/// made of (rows, blobs) is up to who deletes it; [`logs_deleted`] takes the attempt off this list.
///
/// # Errors
/// The database fails.
pub async fn old_logs(conn: &mut PgConnection, cutoff: DateTime<Utc>, most: u32) -> Result<Vec<OfAttempt>> {
    let rows = sqlx::query!(
        "select a.run_id, a.attempt from attempts a join runs r on r.id = a.run_id \
         where a.logs_deleted_at is null and r.finished_at < $1 order by a.run_id, a.attempt limit $2",
        cutoff,
        i64::from(most),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| of_attempt(row.run_id, row.attempt)).collect()
}

fn of_attempt(run: Uuid, attempt: i32) -> Result<OfAttempt> {
    Ok(OfAttempt { run: RunId::from_uuid(run), attempt: convert::attempt("attempts", attempt)? })
}

/// Deletes rows of an attempt's log, at most so many; says how many.
///
/// # Errors
/// The database fails.
pub async fn delete_log_chunks(conn: &mut PgConnection, of: OfAttempt, most: u32) -> Result<u64> {
    let done = sqlx::query!(
        "delete from log_chunks where run_id = $1 and attempt = $2 and seq in \
             (select seq from log_chunks where run_id = $1 and attempt = $2 order by seq limit $3)",
        of.run.as_uuid(),
        attempt_number(of.attempt),
        i64::from(most),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Deletes what else was kept of the words of an attempt's Job: what the cluster said about it, and the end of its output. How it
/// ended stays.
///
/// # Errors
/// The database fails.
pub async fn delete_job_words(conn: &mut PgConnection, of: OfAttempt) -> Result<()> {
    let (run, attempt) = (of.run.as_uuid(), attempt_number(of.attempt));
    sqlx::query!("delete from job_events where run_id = $1 and attempt = $2", run, attempt).execute(&mut *conn).await?;
    sqlx::query!(
        "update attempts set failure_evidence = jsonb_set(failure_evidence, '{last_output}', 'null') \
         where run_id = $1 and attempt = $2 and failure_evidence is not null",
        run,
        attempt,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Nothing is left of an attempt's log.
///
/// # Errors
/// The database fails.
pub async fn logs_deleted(conn: &mut PgConnection, of: OfAttempt, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update attempts set logs_deleted_at = $3 where run_id = $1 and attempt = $2",
        of.run.as_uuid(),
        attempt_number(of.attempt),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The attempts, at most so many, whose kept states are to be deleted: those of runs that ended before `cutoff`.
///
/// # Errors
/// The database fails.
pub async fn old_checkpoints(conn: &mut PgConnection, cutoff: DateTime<Utc>, most: u32) -> Result<Vec<OfAttempt>> {
    let rows = sqlx::query!(
        "select c.run_id, c.attempt from checkpoints c join runs r on r.id = c.run_id \
         where r.finished_at < $1 order by c.run_id, c.attempt limit $2",
        cutoff,
        i64::from(most),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| of_attempt(row.run_id, row.attempt)).collect()
}

/// Forgets the kept state of an attempt, if its run has ended before `cutoff` and was not begun again meanwhile; says whether.
/// Its blobs are to be deleted before this is committed: a state whose blobs can't be deleted stays on the list.
///
/// # Errors
/// The database fails.
pub async fn forget_checkpoint(conn: &mut PgConnection, of: OfAttempt, cutoff: DateTime<Utc>) -> Result<bool> {
    if !has_ended(conn, of.run, cutoff).await? {
        return Ok(false);
    }
    let done = sqlx::query!(
        "delete from checkpoints where run_id = $1 and attempt = $2",
        of.run.as_uuid(),
        attempt_number(of.attempt),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// The runs, at most so many, whose bundles are to be deleted: those that ended before `cutoff`.
///
/// # Errors
/// The database fails.
pub async fn old_bundles(conn: &mut PgConnection, cutoff: DateTime<Utc>, most: u32) -> Result<Vec<RunId>> {
    let rows = sqlx::query_scalar!(
        "select distinct a.run_id from attempts a join runs r on r.id = a.run_id \
         where (a.workspace_blob is not null or a.result_blob is not null) and r.finished_at < $1 limit $2",
        cutoff,
        i64::from(most),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(RunId::from_uuid).collect())
}

/// Forgets the bundles of a run, if it has ended before `cutoff` and was not begun again meanwhile; gives the names of those that are
/// its own, which are to be deleted before this is committed. What it shared with other runs goes when none names it any more.
///
/// # Errors
/// The database fails.
pub async fn forget_bundles(conn: &mut PgConnection, run: RunId, cutoff: DateTime<Utc>) -> Result<Vec<BlobKey>> {
    if !has_ended(conn, run, cutoff).await? {
        return Ok(Vec::new());
    }
    // A later attempt may go on with what an earlier one has, so that both name the same.
    let blobs = sqlx::query_scalar!(
        "select distinct b.blob as \"blob!\" from attempts a, lateral (values (a.workspace_blob), (a.result_blob)) as b (blob) \
         where a.run_id = $1 and b.blob is not null",
        run.as_uuid(),
    )
    .fetch_all(&mut *conn)
    .await?;
    sqlx::query!("update attempts set workspace_blob = null, result_blob = null where run_id = $1", run.as_uuid())
        .execute(conn)
        .await?;
    let blobs = blobs.iter().map(|blob| BlobKey::stored(blob));
    Ok(blobs.filter(|blob| blob.run_that_names_it() == Some(run)).collect())
}

/// Who begins the run again waits for this, and this for them.
async fn has_ended(conn: &mut PgConnection, run: RunId, cutoff: DateTime<Utc>) -> Result<bool> {
    let ended = sqlx::query_scalar!(
        "select finished_at < $2 as \"ended!\" from runs where id = $1 and finished_at is not null for update",
        run.as_uuid(),
        cutoff,
    )
    .fetch_optional(conn)
    .await?;
    Ok(ended == Some(true))
}

/// Which of these no row names. Those of attempts that are found by their names alone are never among them.
///
/// # Errors
/// The database fails.
pub async fn unnamed(conn: &mut PgConnection, blobs: &[BlobKey]) -> Result<Vec<BlobKey>> {
    let of_runs = blobs.iter().filter_map(|blob| Some((blob.as_str().to_owned(), blob.run_that_names_it()?.as_uuid())));
    let (keys, runs): (Vec<String>, Vec<Uuid>) = of_runs.unzip();
    let unnamed = sqlx::query_scalar!(
        "select k.key as \"key!\" from unnest($1::text[], $2::uuid[]) as k (key, run) where \
         not exists (select from attempts a where a.run_id = k.run and k.key in (a.workspace_blob, a.result_blob)) \
         and not exists (select from checkpoints c where c.run_id = k.run and k.key in (c.work_blob, c.thread_blob)) \
         and not exists (select from log_archives l where l.run_id = k.run and l.blob = k.key) \
         and not exists (select from upload_parts u where u.run_id = k.run and u.blob = k.key) \
         and not exists (select from model_calls m where m.run_id = k.run and m.bodies_blob = k.key)",
        &keys,
        &runs,
    )
    .fetch_all(&mut *conn)
    .await?;
    let workspaces: Vec<String> =
        blobs.iter().filter(|blob| blob.is_workspace()).map(|blob| blob.as_str().to_owned()).collect();
    let shared = sqlx::query_scalar!(
        "select k.key as \"key!\" from unnest($1::text[]) as k (key) \
         where not exists (select from attempts a where a.workspace_blob = k.key)",
        &workspaces,
    )
    .fetch_all(conn)
    .await?;
    Ok(unnamed.iter().chain(&shared).map(|key| BlobKey::stored(key)).collect())
}
