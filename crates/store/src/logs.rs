//! Output of running Jobs, in chunks.

use domain::{
    ids::{Attempt, RunId},
    job::{LogChunk, LogStream},
};
use sqlx::PgConnection;

use crate::{
    Result, StoreError,
    convert::{self, attempt_number, clean, stored},
};

/// Stores chunks. One that is stored already stays as it is, so that sending twice is harmless.
///
/// # Errors
/// The attempt is not there, or the database fails.
pub async fn append(conn: &mut PgConnection, run: RunId, attempt: Attempt, chunks: &[LogChunk]) -> Result<()> {
    if chunks.is_empty() {
        return Ok(());
    }
    let seqs: Vec<i64> = chunks.iter().map(|chunk| stored(chunk.seq)).collect();
    let times: Vec<_> = chunks.iter().map(|chunk| chunk.at).collect();
    let streams: Vec<String> = chunks.iter().map(|chunk| chunk.stream.as_str().to_owned()).collect();
    let texts: Vec<String> = chunks.iter().map(|chunk| clean(&chunk.text).into_owned()).collect();
    sqlx::query!(
        "insert into log_chunks (run_id, attempt, seq, at, stream, text) \
         select $1, $2, c.seq, c.at, c.stream, c.text \
         from unnest($3::bigint[], $4::timestamptz[], $5::text[], $6::text[]) as c (seq, at, stream, text) \
         on conflict do nothing",
        run.as_uuid(),
        attempt_number(attempt),
        &seqs,
        &times,
        &streams,
        &texts,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Reads chunks in order, beginning with `from_seq`.
///
/// # Errors
/// The database fails.
pub async fn read(
    conn: &mut PgConnection,
    run: RunId,
    attempt: Attempt,
    from_seq: u64,
    limit: u32,
) -> Result<Vec<LogChunk>> {
    let rows = sqlx::query!(
        "select seq, at, stream, text from log_chunks \
         where run_id = $1 and attempt = $2 and seq >= $3 order by seq limit $4",
        run.as_uuid(),
        attempt_number(attempt),
        stored(from_seq),
        i64::from(limit),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(LogChunk {
                seq: convert::unsigned("log_chunks", "seq", row.seq)?,
                at: row.at,
                stream: stream(&row.stream)?,
                text: row.text,
            })
        })
        .collect()
}

fn stream(text: &str) -> Result<LogStream> {
    LogStream::ALL.iter().copied().find(|stream| stream.as_str() == text).ok_or_else(|| StoreError::Corrupt {
        table: "log_chunks",
        column: "stream",
        detail: format!("`{text}` is no stream"),
    })
}
