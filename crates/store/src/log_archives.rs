//! Output of ended attempts: rows become one blob, and one reader spans both.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::{
    ids::{Attempt, RunId},
    job::LogChunk,
};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use sqlx::PgConnection;
use tokio::io::AsyncBufReadExt;
use tokio_util::io::StreamReader;

use crate::{
    Result, Store, StoreError,
    blobs::{BlobKey, Blobs, PutError},
    convert::{attempt_number, stored},
    logs,
};

/// Chunks read from the database at a time.
const PAGE: u32 = 256;

/// More than any project's limit of output: a bound for what nobody bounded.
const MOST_BYTES: u64 = 4 << 30;

/// Moves the output of an attempt that has ended from its rows into a blob; says how many chunks were moved. Once more is
/// harmless: there are no rows left.
///
/// # Errors
/// Chunks came in between ([`StoreError::Conflict`]: try again), or the database or the blob store fails.
pub async fn archive(store: &Store, blobs: &Blobs, run: RunId, attempt: Attempt, now: DateTime<Utc>) -> Result<u64> {
    let chunks = count(&mut *store.acquire().await?, run, attempt).await?;
    if chunks == 0 {
        return Ok(0);
    }
    let key = BlobKey::log(run, attempt);
    let lines = rows(store.clone(), run, attempt).map(|chunk| line(&chunk?));
    blobs.put_stream(&key, lines, MOST_BYTES).await.map_err(|error| match error {
        PutError::Source(error) | PutError::Store(error) => error,
        PutError::TooLarge(most) => StoreError::Corrupt {
            table: "log_chunks",
            column: "text",
            detail: format!("the output of one attempt is over {most} bytes"),
        },
    })?;
    let mut tx = store.begin().await?;
    sqlx::query!(
        "insert into log_archives (run_id, attempt, blob, chunks, archived_at) values ($1, $2, $3, $4, $5) \
         on conflict (run_id, attempt) do update set chunks = excluded.chunks, archived_at = excluded.archived_at",
        run.as_uuid(),
        attempt_number(attempt),
        key.as_str(),
        stored(chunks),
        now,
    )
    .execute(&mut *tx)
    .await?;
    let deleted = sqlx::query!(
        "delete from log_chunks where run_id = $1 and attempt = $2",
        run.as_uuid(),
        attempt_number(attempt)
    )
    .execute(&mut *tx)
    .await?;
    if deleted.rows_affected() != chunks {
        // Dropping the transaction keeps the rows; the blob is written anew by the next try.
        return Err(StoreError::Conflict { constraint: "log_archives_whole".to_owned() });
    }
    tx.commit().await?;
    Ok(chunks)
}

/// Reads the output of an attempt in order, beginning with `from_seq`, wherever it lies.
///
/// # Errors
/// The database or the blob store fails, at once or later on.
pub async fn read(
    store: &Store,
    blobs: &Blobs,
    run: RunId,
    attempt: Attempt,
    from_seq: u64,
) -> Result<stream::BoxStream<'static, Result<LogChunk>>> {
    let blob = sqlx::query_scalar!(
        "select blob from log_archives where run_id = $1 and attempt = $2",
        run.as_uuid(),
        attempt_number(attempt),
    )
    .fetch_optional(&mut *store.acquire().await?)
    .await?;
    let Some(blob) = blob else {
        return Ok(rows_from(store.clone(), run, attempt, from_seq).boxed());
    };
    let bytes = blobs.get_stream(&BlobKey::stored(&blob)).await?.map_err(std::io::Error::other);
    let lines = StreamReader::new(bytes).lines();
    let chunks = stream::try_unfold(lines, |mut lines| async move {
        let line = lines.next_line().await.map_err(unreadable)?;
        line.map(|line| Ok((chunk(&line)?, lines))).transpose()
    });
    Ok(chunks.try_filter(move |chunk| std::future::ready(chunk.seq >= from_seq)).boxed())
}

/// Deletes the blob of an attempt's output, and what is known of it. Once more is harmless.
///
/// # Errors
/// The database or the blob store fails.
pub async fn delete(conn: &mut PgConnection, blobs: &Blobs, run: RunId, attempt: Attempt) -> Result<()> {
    // The blob first: while the row is there, somebody comes back for it.
    blobs.delete(&BlobKey::log(run, attempt)).await?;
    sqlx::query!("delete from log_archives where run_id = $1 and attempt = $2", run.as_uuid(), attempt_number(attempt))
        .execute(conn)
        .await?;
    Ok(())
}

async fn count(conn: &mut PgConnection, run: RunId, attempt: Attempt) -> Result<u64> {
    let count = sqlx::query_scalar!(
        "select count(*) as \"count!\" from log_chunks where run_id = $1 and attempt = $2",
        run.as_uuid(),
        attempt_number(attempt),
    )
    .fetch_one(conn)
    .await?;
    crate::convert::unsigned("log_chunks", "count", count)
}

fn rows(store: Store, run: RunId, attempt: Attempt) -> impl Stream<Item = Result<LogChunk>> + Send {
    rows_from(store, run, attempt, 0)
}

/// Page by page, so that neither memory nor a connection is held for long.
fn rows_from(store: Store, run: RunId, attempt: Attempt, from_seq: u64) -> impl Stream<Item = Result<LogChunk>> + Send {
    let pages = stream::try_unfold(Some(from_seq), move |next| {
        let store = store.clone();
        async move {
            let Some(next) = next else { return Ok(None) };
            let page = logs::read(&mut *store.acquire().await?, run, attempt, next, PAGE).await?;
            let after = page.last().map(|last| last.seq + 1);
            Ok::<_, StoreError>((!page.is_empty()).then_some((page, after)))
        }
    });
    pages.map_ok(|page| stream::iter(page.into_iter().map(Ok))).try_flatten()
}

fn line(chunk: &LogChunk) -> Result<Bytes> {
    let mut line = serde_json::to_vec(chunk).map_err(|error| corrupt(&error.to_string()))?;
    line.push(b'\n');
    Ok(line.into())
}

fn chunk(line: &str) -> Result<LogChunk> {
    serde_json::from_str(line).map_err(|error| corrupt(&error.to_string()))
}

fn unreadable(error: std::io::Error) -> StoreError {
    match error.downcast::<StoreError>() {
        Ok(error) => error,
        Err(error) => corrupt(&error.to_string()),
    }
}

fn corrupt(detail: &str) -> StoreError {
    StoreError::Corrupt { table: "log_archives", column: "blob", detail: detail.to_owned() }
}
