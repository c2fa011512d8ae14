//! Uploads of runners under way: how much has come, and where it lies.
//!
//! An upload is known by the SHA-256 of the whole, so it can't go on with other bytes than it began with. Its parts are blobs under
//! names never used before; a row names each, and the upload's own row says how far they reach.

use chrono::{DateTime, Utc};
use domain::ids::{Attempt, RunId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result, UploadKind,
    blobs::BlobKey,
    convert::{self, attempt_number, stored},
};

/// Names an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadKey {
    /// The run.
    pub run: RunId,
    /// Its attempt.
    pub attempt: Attempt,
    /// What it will be.
    pub kind: UploadKind,
}

/// The whole, as it was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Its SHA-256.
    pub digest: [u8; 32],
    /// Its bytes.
    pub length: u64,
}

/// A part of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Place of its first byte in the whole.
    pub start: u64,
    /// Its bytes; never 0.
    pub bytes: u64,
    /// Where it lies.
    pub blob: BlobKey,
}

/// How many bytes of this upload have come; 0 if none have, or those there are belong to another whole.
///
/// # Errors
/// The database fails.
pub async fn received(conn: &mut PgConnection, key: UploadKey, whole: &Whole) -> Result<u64> {
    let received = sqlx::query_scalar!(
        "select received from uploads where run_id = $1 and attempt = $2 and kind = $3 and digest = $4 and length = $5",
        key.run.as_uuid(),
        attempt_number(key.attempt),
        key.kind.as_str(),
        &whole.digest[..],
        stored(whole.length),
    )
    .fetch_optional(conn)
    .await?;
    received.map_or(Ok(0), |received| convert::unsigned("uploads", "received", received))
}

/// Begins an upload. If there is one of another whole, it takes its place, and its blobs are given back: they may go. Call it in a
/// transaction.
///
/// # Errors
/// The database fails.
pub async fn begin(conn: &mut PgConnection, key: UploadKey, whole: &Whole, now: DateTime<Utc>) -> Result<Vec<BlobKey>> {
    let begun = sqlx::query!(
        "insert into uploads (run_id, attempt, kind, digest, length, begun_at) values ($1, $2, $3, $4, $5, $6) \
         on conflict do nothing",
        key.run.as_uuid(),
        attempt_number(key.attempt),
        key.kind.as_str(),
        &whole.digest[..],
        stored(whole.length),
        now,
    )
    .execute(&mut *conn)
    .await?;
    if begun.rows_affected() > 0 {
        return Ok(Vec::new());
    }
    let replaced = sqlx::query!(
        "update uploads set digest = $4, length = $5, received = 0, begun_at = $6 \
         where run_id = $1 and attempt = $2 and kind = $3 and (digest <> $4 or length <> $5)",
        key.run.as_uuid(),
        attempt_number(key.attempt),
        key.kind.as_str(),
        &whole.digest[..],
        stored(whole.length),
        now,
    )
    .execute(&mut *conn)
    .await?;
    if replaced.rows_affected() == 0 { Ok(Vec::new()) } else { delete_parts(conn, key).await }
}

/// Adds a part to an upload that reaches to its beginning by now. False if it does not: somebody else was faster, or another
/// upload has taken its place. Call it in a transaction.
///
/// # Errors
/// The database fails.
pub async fn add_part(conn: &mut PgConnection, key: UploadKey, whole: &Whole, part: &Part) -> Result<bool> {
    let fits = sqlx::query!(
        "update uploads set received = received + $6 \
         where run_id = $1 and attempt = $2 and kind = $3 and digest = $4 and received = $5 and received + $6 <= length",
        key.run.as_uuid(),
        attempt_number(key.attempt),
        key.kind.as_str(),
        &whole.digest[..],
        stored(part.start),
        stored(part.bytes),
    )
    .execute(&mut *conn)
    .await?;
    if fits.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query!(
        "insert into upload_parts (run_id, attempt, kind, start, bytes, blob) values ($1, $2, $3, $4, $5, $6)",
        key.run.as_uuid(),
        attempt_number(key.attempt),
        key.kind.as_str(),
        stored(part.start),
        stored(part.bytes),
        part.blob.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(true)
}

/// The parts of an upload, in order.
///
/// # Errors
/// The database fails.
pub async fn parts(conn: &mut PgConnection, key: UploadKey) -> Result<Vec<Part>> {
    let rows = sqlx::query!(
        "select start, bytes, blob from upload_parts where run_id = $1 and attempt = $2 and kind = $3 order by start",
        key.run.as_uuid(),
        attempt_number(key.attempt),
        key.kind.as_str(),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Part {
                start: convert::unsigned("upload_parts", "start", row.start)?,
                bytes: convert::unsigned("upload_parts", "bytes", row.bytes)?,
                blob: BlobKey::stored(&row.blob),
            })
        })
        .collect()
}

/// Forgets an upload of this whole, and gives back its blobs, which may go. Fine if there is none. Call it in a transaction.
///
/// # Errors
/// The database fails.
pub async fn forget(conn: &mut PgConnection, key: UploadKey, whole: &Whole) -> Result<Vec<BlobKey>> {
    let there = sqlx::query_scalar!(
        "select 1 as \"one!\" from uploads where run_id = $1 and attempt = $2 and kind = $3 and digest = $4 for update",
        key.run.as_uuid(),
        attempt_number(key.attempt),
        key.kind.as_str(),
        &whole.digest[..],
    )
    .fetch_optional(&mut *conn)
    .await?;
    if there.is_none() {
        return Ok(Vec::new());
    }
    let blobs = delete_parts(conn, key).await?;
    sqlx::query!(
        "delete from uploads where run_id = $1 and attempt = $2 and kind = $3",
        key.run.as_uuid(),
        attempt_number(key.attempt),
        key.kind.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(blobs)
}

/// Attempts that have ended in the middle of an upload, at most so many.
///
/// # Errors
/// The database fails.
pub async fn left_behind(conn: &mut PgConnection, most: u32) -> Result<Vec<(RunId, Attempt)>> {
    let rows = sqlx::query!(
        "select distinct u.run_id, u.attempt from uploads u \
         join attempts a on a.run_id = u.run_id and a.attempt = u.attempt \
         where a.finished_at is not null limit $1",
        i64::from(most),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| Ok((RunId::from_uuid(row.run_id), convert::attempt("uploads", row.attempt)?))).collect()
}

/// Forgets every upload of an attempt that has ended, and gives back their blobs, which may go. Call it in a transaction.
///
/// # Errors
/// The database fails.
pub async fn forget_all(conn: &mut PgConnection, run: RunId, attempt: Attempt) -> Result<Vec<BlobKey>> {
    let blobs = sqlx::query_scalar!(
        "delete from upload_parts where run_id = $1 and attempt = $2 returning blob",
        run.as_uuid(),
        attempt_number(attempt),
    )
    .fetch_all(&mut *conn)
    .await?;
    sqlx::query!("delete from uploads where run_id = $1 and attempt = $2", run.as_uuid(), attempt_number(attempt),)
        .execute(conn)
        .await?;
    Ok(blobs.iter().map(|blob| BlobKey::stored(blob)).collect())
}

/// A name for the blob of a part; never used before.
#[must_use]
pub fn new_blob(key: UploadKey) -> BlobKey {
    BlobKey::upload_part(key.run, key.attempt, Uuid::now_v7())
}

async fn delete_parts(conn: &mut PgConnection, key: UploadKey) -> Result<Vec<BlobKey>> {
    let blobs = sqlx::query_scalar!(
        "delete from upload_parts where run_id = $1 and attempt = $2 and kind = $3 returning blob",
        key.run.as_uuid(),
        attempt_number(key.attempt),
        key.kind.as_str(),
    )
    .fetch_all(conn)
    .await?;
    Ok(blobs.iter().map(|blob| BlobKey::stored(blob)).collect())
}
