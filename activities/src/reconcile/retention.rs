//! Deletes what is kept for a time only: raw payloads by the day, logs and kept states of agents' work by the run, what set-ups left
//! behind one by one, the parts of uploads that their attempt did not finish, bundles by the run, and blobs that nothing names any
//! more or ever did. The ledger, runs and audit stay.

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt as _, TryStreamExt as _};
use store::{
    PgConnection, StoreError, live, log_archives, model_calls,
    retention::{self, OfAttempt},
    uploads,
};

use crate::{failure::StepError, platform::Platform};

/// Rows deleted in one statement: a longer one would hold up others.
const BATCH: u32 = 1_000;

/// Attempts looked at in one go.
const ATTEMPTS: u32 = 100;

/// A blob is written before the row that names it; one that is younger than this may still get its row.
pub(crate) const UNNAMED_FOR: TimeDelta = TimeDelta::days(1);

/// No batch is begun later than this after the beginning; the next look goes on.
const LOOK: TimeDelta = TimeDelta::minutes(8);

/// For how many days things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Raw payloads of deliveries.
    pub payload_days: u32,
    /// Logs of runs, from their end.
    pub log_days: u32,
    /// Kept states of agents' work and the bundles of workspace and result, from the end of their run. Later, nobody can let the
    /// agent continue.
    pub checkpoint_days: u32,
    /// What a set-up left behind, from when it was stored: the next run sets up anew, and so gets what is new out there.
    pub setup_cache_days: u32,
}

#[derive(Default)]
struct Sum {
    days: u64,
    payloads: u64,
    logs: u64,
    checkpoints: u64,
    setup_caches: u64,
    uploads: u64,
    bundles: u64,
    unnamed: u64,
}

pub(super) async fn run(platform: &Platform) -> Result<String, StepError> {
    let began = platform.now();
    let before = |days: u32| began - TimeDelta::days(i64::from(days));
    let mut sum = Sum::default();
    payloads(platform, before(platform.retention.payload_days), &mut sum).await?;
    logs(platform, before(platform.retention.log_days), began, &mut sum).await?;
    checkpoints(platform, before(platform.retention.checkpoint_days), began, &mut sum).await?;
    sum.setup_caches = platform.blobs.delete_setup_caches(before(platform.retention.setup_cache_days)).await?;
    half_uploads(platform, &mut sum).await?;
    live_changes(platform, began).await?;
    bundles(platform, before(platform.retention.checkpoint_days), began, &mut sum).await?;
    unnamed(platform, began, &mut sum).await?;
    Ok(format!(
        "dropped {} days of payloads and {} stray payloads, deleted {} logs, {} kept states, {} set-up caches, the half uploads of \
         {} attempts, the bundles of {} runs and {} blobs that nothing names",
        sum.days, sum.payloads, sum.logs, sum.checkpoints, sum.setup_caches, sum.uploads, sum.bundles, sum.unnamed
    ))
}

async fn bundles(
    platform: &Platform,
    cutoff: DateTime<Utc>,
    began: DateTime<Utc>,
    sum: &mut Sum,
) -> Result<(), StepError> {
    loop {
        let old = retention::old_bundles(&mut *platform.store.acquire().await?, cutoff, ATTEMPTS).await?;
        let before = sum.bundles;
        for run in &old {
            if platform.now() - began > LOOK {
                return Ok(());
            }
            let mut tx = platform.store.begin().await?;
            let blobs = retention::forget_bundles(&mut tx, *run, cutoff).await?;
            for blob in &blobs {
                platform.blobs.delete(blob).await?;
            }
            tx.commit().await.map_err(StoreError::from)?;
            sum.bundles += u64::from(!blobs.is_empty());
        }
        if old.len() < ATTEMPTS as usize || sum.bundles == before {
            return Ok(());
        }
    }
}

/// What a crash has left between a blob and its row, what could not be deleted with its row, and packed workspaces of which nobody has
/// any use.
async fn unnamed(platform: &Platform, began: DateTime<Utc>, sum: &mut Sum) -> Result<(), StepError> {
    let cutoff = began - UNNAMED_FOR;
    let old = platform.blobs.of_attempts_before(cutoff).chain(platform.blobs.workspaces_before(cutoff));
    let mut blobs = std::pin::pin!(old.try_chunks(BATCH as usize));
    while let Some(some) = blobs.try_next().await.map_err(|error| error.1)? {
        if platform.now() - began > LOOK {
            return Ok(());
        }
        for blob in retention::unnamed(&mut *platform.store.acquire().await?, &some).await? {
            platform.blobs.delete(&blob).await?;
            sum.unnamed += 1;
        }
    }
    Ok(())
}

async fn payloads(platform: &Platform, cutoff: DateTime<Utc>, sum: &mut Sum) -> Result<(), StepError> {
    loop {
        let mut tx = platform.store.begin().await?;
        let dropped = retention::drop_payload_day(&mut tx, cutoff).await?;
        tx.commit().await.map_err(StoreError::from)?;
        if !dropped {
            break;
        }
        sum.days += 1;
    }
    loop {
        let mut conn = platform.store.acquire().await?;
        let deleted = retention::delete_stray_payloads(&mut conn, cutoff, BATCH).await?;
        sum.payloads += deleted;
        if deleted < u64::from(BATCH) {
            return Ok(());
        }
    }
}

/// What open pages resume from; they load everything again after less than this.
async fn live_changes(platform: &Platform, began: DateTime<Utc>) -> Result<(), StepError> {
    let cutoff = began - TimeDelta::hours(1);
    while live::forget(&mut *platform.store.acquire().await?, cutoff, BATCH).await? == u64::from(BATCH) {}
    Ok(())
}

/// As many as are found at once: the rest has an hour.
async fn half_uploads(platform: &Platform, sum: &mut Sum) -> Result<(), StepError> {
    let left = uploads::left_behind(&mut *platform.store.acquire().await?, ATTEMPTS).await?;
    for (run, attempt) in left {
        let mut tx = platform.store.begin().await?;
        let blobs = uploads::forget_all(&mut tx, run, attempt).await?;
        // Before the rows that name them, so that none is left without a name.
        for blob in blobs {
            platform.blobs.delete(&blob).await?;
        }
        tx.commit().await.map_err(StoreError::from)?;
        sum.uploads += 1;
    }
    Ok(())
}

async fn logs(
    platform: &Platform,
    cutoff: DateTime<Utc>,
    began: DateTime<Utc>,
    sum: &mut Sum,
) -> Result<(), StepError> {
    loop {
        let old = retention::old_logs(&mut *platform.store.acquire().await?, cutoff, ATTEMPTS).await?;
        for of in &old {
            if platform.now() - began > LOOK {
                return Ok(());
            }
            delete_logs(platform, *of).await?;
            sum.logs += 1;
        }
        if old.len() < ATTEMPTS as usize {
            return Ok(());
        }
    }
}

/// Everything that an attempt's log is made of, what else was kept of its words, and then the note that it is gone.
async fn delete_logs(platform: &Platform, of: OfAttempt) -> Result<(), StepError> {
    let mut conn = platform.store.acquire().await?;
    while retention::delete_log_chunks(&mut conn, of, BATCH).await? == u64::from(BATCH) {}
    log_archives::delete(&mut conn, &platform.blobs, of.run, of.attempt).await?;
    delete_model_bodies(platform, &mut conn, of).await?;
    retention::delete_job_words(&mut conn, of).await?;
    retention::logs_deleted(&mut conn, of, platform.now()).await?;
    Ok(())
}

async fn checkpoints(
    platform: &Platform,
    cutoff: DateTime<Utc>,
    began: DateTime<Utc>,
    sum: &mut Sum,
) -> Result<(), StepError> {
    loop {
        let old = retention::old_checkpoints(&mut *platform.store.acquire().await?, cutoff, ATTEMPTS).await?;
        let before = sum.checkpoints;
        for of in &old {
            if platform.now() - began > LOOK {
                return Ok(());
            }
            sum.checkpoints += u64::from(delete_checkpoint(platform, *of, cutoff).await?);
        }
        // Those of runs that were begun again stay; looking at them once more would find nothing else.
        if old.len() < ATTEMPTS as usize || sum.checkpoints == before {
            return Ok(());
        }
    }
}

async fn delete_checkpoint(platform: &Platform, of: OfAttempt, cutoff: DateTime<Utc>) -> Result<bool, StepError> {
    let mut tx = platform.store.begin().await?;
    if !retention::forget_checkpoint(&mut tx, of, cutoff).await? {
        return Ok(false);
    }
    platform.blobs.delete_checkpoints(of.run, of.attempt).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(true)
}

/// What agent and model said to each other, where the project had it kept: as long as the log.
async fn delete_model_bodies(platform: &Platform, conn: &mut PgConnection, of: OfAttempt) -> Result<(), StepError> {
    loop {
        let keys = model_calls::bodies(conn, of.run, of.attempt, BATCH).await?;
        for key in &keys {
            platform.blobs.delete(key).await?;
        }
        model_calls::bodies_deleted(conn, of.run, of.attempt, &keys).await?;
        if keys.len() < BATCH as usize {
            return Ok(());
        }
    }
}
