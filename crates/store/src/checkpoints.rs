//! Kept states of agents' work: the newest of each attempt.
//!
//! Its two blobs are stored before the row, so a row always names whole ones.

use chrono::{DateTime, Utc};
use domain::ids::{Attempt, RunId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result, StoreError,
    blobs::BlobKey,
    convert::{self, attempt_number, stored},
};

/// Codex's thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its id.
    pub id: String,
    /// Blob of its file.
    pub blob: BlobKey,
}

/// A kept state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The attempt whose work it is.
    pub attempt: Attempt,
    /// Counted by the runner.
    pub seq: u64,
    /// When it was stored.
    pub at: DateTime<Utc>,
    /// Blob of the work tree, a git bundle.
    pub work: BlobKey,
    /// The thread; none if it could not be had.
    pub thread: Option<Thread>,
    /// Bytes of both blobs.
    pub bytes: u64,
}

struct Row {
    attempt: i32,
    seq: i64,
    at: DateTime<Utc>,
    work_blob: String,
    thread_id: Option<String>,
    thread_blob: Option<String>,
    bytes: i64,
}

impl TryFrom<Row> for Checkpoint {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        let thread = row.thread_id.zip(row.thread_blob).map(|(id, blob)| Thread { id, blob: BlobKey::stored(&blob) });
        Ok(Self {
            attempt: convert::attempt("checkpoints", row.attempt)?,
            seq: convert::unsigned("checkpoints", "seq", row.seq)?,
            at: row.at,
            work: BlobKey::stored(&row.work_blob),
            thread,
            bytes: convert::unsigned("checkpoints", "bytes", row.bytes)?,
        })
    }
}

/// What became of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is the newest now; these blobs are of the one before and may go.
    Newest {
        /// Blobs that no row names any more.
        replaced: Vec<BlobKey>,
    },
    /// A newer one is there, or the attempt has ended: it counts for nothing.
    Late,
}

/// Makes a checkpoint the newest one of its attempt, unless it is late. Call it in a transaction: the attempt's row is locked.
///
/// # Errors
/// The attempt is not there, or the database fails.
pub async fn record(conn: &mut PgConnection, run: RunId, checkpoint: &Checkpoint) -> Result<Recorded> {
    let attempt = attempt_number(checkpoint.attempt);
    let open = sqlx::query_scalar!(
        "select finished_at is null as \"open!\" from attempts where run_id = $1 and attempt = $2 for no key update",
        run.as_uuid(),
        attempt,
    )
    .fetch_optional(&mut *conn)
    .await?
    .ok_or_else(|| StoreError::missing("attempt", &format!("{run}/{attempt}")))?;
    let before = of(conn, run, checkpoint.attempt).await?;
    if !open || before.as_ref().is_some_and(|before| before.seq >= checkpoint.seq) {
        return Ok(Recorded::Late);
    }
    sqlx::query!(
        "insert into checkpoints (run_id, attempt, seq, at, work_blob, thread_id, thread_blob, bytes) \
         values ($1, $2, $3, $4, $5, $6, $7, $8) \
         on conflict (run_id, attempt) do update set seq = excluded.seq, at = excluded.at, \
             work_blob = excluded.work_blob, thread_id = excluded.thread_id, thread_blob = excluded.thread_blob, \
             bytes = excluded.bytes",
        run.as_uuid(),
        attempt,
        stored(checkpoint.seq),
        checkpoint.at,
        checkpoint.work.as_str(),
        checkpoint.thread.as_ref().map(|thread| thread.id.as_str()),
        checkpoint.thread.as_ref().map(|thread| thread.blob.as_str()),
        stored(checkpoint.bytes),
    )
    .execute(conn)
    .await?;
    let replaced = before.into_iter().flat_map(|before| [Some(before.work), before.thread.map(|thread| thread.blob)]);
    Ok(Recorded::Newest { replaced: replaced.flatten().collect() })
}

/// The newest one of an attempt.
///
/// # Errors
/// The database fails.
pub async fn of(conn: &mut PgConnection, run: RunId, attempt: Attempt) -> Result<Option<Checkpoint>> {
    sqlx::query_as!(
        Row,
        "select attempt, seq, at, work_blob, thread_id, thread_blob, bytes from checkpoints \
         where run_id = $1 and attempt = $2",
        run.as_uuid(),
        attempt_number(attempt),
    )
    .fetch_optional(conn)
    .await?
    .map(Checkpoint::try_from)
    .transpose()
}

/// The newest one of a run: that of its newest attempt that has one.
///
/// # Errors
/// The database fails.
pub async fn newest(conn: &mut PgConnection, run: RunId) -> Result<Option<Checkpoint>> {
    sqlx::query_as!(
        Row,
        "select attempt, seq, at, work_blob, thread_id, thread_blob, bytes from checkpoints \
         where run_id = $1 order by attempt desc limit 1",
        run.as_uuid(),
    )
    .fetch_optional(conn)
    .await?
    .map(Checkpoint::try_from)
    .transpose()
}

/// Names for the blobs of a new checkpoint; never used before, so that a stored one is never overwritten.
#[must_use]
pub fn new_blobs(run: RunId, attempt: Attempt) -> (BlobKey, BlobKey) {
    let id = Uuid::now_v7();
    (BlobKey::checkpoint(run, attempt, id, "work.bundle"), BlobKey::checkpoint(run, attempt, id, "thread.jsonl"))
}
