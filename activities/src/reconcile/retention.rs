//! Deletes what is kept for a time only: raw payloads by the day, logs by the run. The ledger, runs and audit stay.

use chrono::{DateTime, TimeDelta, Utc};
use store::{
    StoreError, log_archives,
    retention::{self, OldLogs},
};

use crate::{failure::StepError, platform::Platform};

/// Rows deleted in one statement: a longer one would hold up others.
const BATCH: u32 = 1_000;

/// Attempts looked at in one go.
const ATTEMPTS: u32 = 100;

/// No batch is begun later than this after the beginning; the next look goes on.
const LOOK: TimeDelta = TimeDelta::minutes(8);

/// For how many days things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Raw payloads of deliveries.
    pub payload_days: u32,
    /// Logs of runs, from their end.
    pub log_days: u32,
}

#[derive(Default)]
struct Sum {
    days: u64,
    payloads: u64,
    logs: u64,
}

pub(super) async fn run(platform: &Platform) -> Result<String, StepError> {
    let began = platform.now();
    let before = |days: u32| began - TimeDelta::days(i64::from(days));
    let mut sum = Sum::default();
    payloads(platform, before(platform.retention.payload_days), &mut sum).await?;
    logs(platform, before(platform.retention.log_days), began, &mut sum).await?;
    Ok(format!("dropped {} days of payloads and {} stray payloads, deleted {} logs", sum.days, sum.payloads, sum.logs))
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

/// Everything that an attempt's log is made of, and then the note that it is gone.
async fn delete_logs(platform: &Platform, of: OldLogs) -> Result<(), StepError> {
    let mut conn = platform.store.acquire().await?;
    while retention::delete_log_chunks(&mut conn, of, BATCH).await? == u64::from(BATCH) {}
    log_archives::delete(&platform.store, &platform.blobs, of.run, of.attempt).await?;
    retention::logs_deleted(&mut conn, of, platform.now()).await?;
    Ok(())
}
