//! Tokens of attempts: whose they are, whether they are worth anything, who claimed the attempt.
//!
//! A token's time is judged by the database's own clock: gateways that disagree about the time must not disagree about a token.

use chrono::{DateTime, Utc};
use domain::{
    ids::{Attempt, RunId},
    job_tokens::{SessionHashes, TokenKind},
};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result,
    audit::{self, NewFlowEvent},
    convert::{self, attempt_number, clean},
};

/// The attempt of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The run.
    pub run: RunId,
    /// Its attempt.
    pub attempt: Attempt,
    /// Whether the token is worth anything.
    pub standing: Standing,
}

/// Whether the tokens of an attempt are worth anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// They are.
    Good,
    /// The attempt has ended.
    Ended,
    /// The Job was ended before the attempt.
    Revoked,
    /// The attempt is past its deadline.
    Expired,
}

struct Row {
    run_id: Uuid,
    attempt: i32,
    ended: bool,
    revoked: bool,
    expired: bool,
}

impl TryFrom<Row> for Owner {
    type Error = crate::StoreError;

    fn try_from(row: Row) -> Result<Self> {
        let standing = match row {
            Row { ended: true, .. } => Standing::Ended,
            Row { revoked: true, .. } => Standing::Revoked,
            Row { expired: true, .. } => Standing::Expired,
            Row { .. } => Standing::Good,
        };
        Ok(Self { run: RunId::from_uuid(row.run_id), attempt: convert::attempt("attempts", row.attempt)?, standing })
    }
}

/// Looks an attempt up by the hash in a column; the token in it is worthless, too, where `$and_if` holds.
macro_rules! owner_by {
    ($conn:expr, $column:literal, $and_if:literal, $hash:expr) => {
        sqlx::query_as!(
            Row,
            "select a.run_id, a.attempt, a.finished_at is not null as \"ended!\", \
             (a.tokens_revoked_at is not null"
                + $and_if
                + ") as \"revoked!\", \
             coalesce(r.deadline_at <= now(), false) as \"expired!\" \
             from attempts a join runs r on r.id = a.run_id where a."
                + $column
                + " = $1",
            $hash,
        )
        .fetch_optional($conn)
        .await?
    };
}

/// Whose token this is the hash of; see [`domain::job_tokens::hash`].
///
/// Once an attempt is to end, its agent asks no model and goes nowhere; its runner may still report and hand over.
///
/// # Errors
/// The database fails.
pub async fn owner(conn: &mut PgConnection, kind: TokenKind, hash: &[u8]) -> Result<Option<Owner>> {
    let row = match kind {
        TokenKind::Launch => owner_by!(conn, "token_hash", "", hash),
        TokenKind::Session => owner_by!(conn, "session_hash", "", hash),
        TokenKind::Model => owner_by!(
            conn,
            "model_hash",
            " or a.cancel_requested_at is not null or a.stop_requested_at is not null",
            hash
        ),
        TokenKind::Egress => owner_by!(
            conn,
            "egress_hash",
            " or a.cancel_requested_at is not null or a.stop_requested_at is not null",
            hash
        ),
    };
    row.map(Owner::try_from).transpose()
}

/// Somebody claims an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The run.
    pub run: RunId,
    /// Its attempt.
    pub attempt: Attempt,
    /// Who: the UID of a pod, or a process.
    pub by: &'a str,
    /// What it will work with.
    pub hashes: SessionHashes,
    /// Now.
    pub now: DateTime<Utc>,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The attempt is theirs now.
    First,
    /// It was theirs before: the same claim came twice.
    Again,
    /// It is somebody else's, or theirs with another session.
    Taken,
}

/// Claims an attempt, of which the caller knows that its tokens are good. The first claim wins.
///
/// # Errors
/// The attempt is not there, or the database fails.
pub async fn claim(conn: &mut PgConnection, claim: Claim<'_>) -> Result<Claimed> {
    let by = clean(claim.by);
    let done = sqlx::query!(
        "update attempts set claimed_by = $3, claimed_at = $4, session_hash = $5, model_hash = $6, egress_hash = $7 \
         where run_id = $1 and attempt = $2 and claimed_at is null and finished_at is null and tokens_revoked_at is null",
        claim.run.as_uuid(),
        attempt_number(claim.attempt),
        &by,
        claim.now,
        &claim.hashes.session[..],
        &claim.hashes.model[..],
        &claim.hashes.egress[..],
    )
    .execute(&mut *conn)
    .await?;
    if done.rows_affected() == 0 {
        let same = sqlx::query_scalar!(
            "select coalesce(claimed_by = $3 and session_hash = $4, false) as \"same!\" from attempts \
             where run_id = $1 and attempt = $2",
            claim.run.as_uuid(),
            attempt_number(claim.attempt),
            &by,
            &claim.hashes.session[..],
        )
        .fetch_optional(conn)
        .await?;
        return Ok(if same == Some(true) { Claimed::Again } else { Claimed::Taken });
    }
    let detail = json!({ "attempt": claim.attempt, "by": by });
    let event =
        NewFlowEvent { run: Some(claim.run), ..NewFlowEvent::new(claim.now, "runner", "attempt_claimed", detail) };
    audit::append(conn, event).await?;
    Ok(Claimed::First)
}

/// Makes every token of an attempt worthless, before the attempt itself ends. Once more changes nothing.
///
/// # Errors
/// The database fails.
pub async fn revoke(conn: &mut PgConnection, run: RunId, attempt: Attempt, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update attempts set tokens_revoked_at = $3 where run_id = $1 and attempt = $2 and tokens_revoked_at is null",
        run.as_uuid(),
        attempt_number(attempt),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A token that was refused.
#[derive(Clone, Copy, Debug)]
pub struct RefusedToken {
    /// Whose it is; none if it is nobody's.
    pub of: Option<(RunId, Attempt)>,
    /// Why, as a stable word.
    pub code: &'static str,
    /// Where it was shown, as a stable word.
    pub door: &'static str,
}

/// Tells the audit of a refused token: once an hour for each attempt and reason, and once for those that are nobody's. Call it
/// in a transaction.
///
/// # Errors
/// The database fails.
pub async fn note_refused(conn: &mut PgConnection, refused: RefusedToken) -> Result<()> {
    let what = match refused.of {
        Some((run, attempt)) => format!("{run}:{attempt}:{}", refused.code),
        None => refused.code.to_owned(),
    };
    // Looked at first: whoever floods us writes nothing and waits for no lock.
    let told = sqlx::query_scalar!(
        "select exists (select from token_refusals where what = $1 and told_at > now() - interval '1 hour') as \"told!\"",
        what,
    )
    .fetch_one(&mut *conn)
    .await?;
    if told {
        return Ok(());
    }
    let at = sqlx::query_scalar!(
        "insert into token_refusals (what, told_at) values ($1, now()) \
         on conflict (what) do update set told_at = excluded.told_at \
             where token_refusals.told_at <= excluded.told_at - interval '1 hour' \
         returning told_at",
        what,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(at) = at else { return Ok(()) };
    // A line that is older than an hour says nothing any more.
    sqlx::query!("delete from token_refusals where told_at < now() - interval '2 hours'").execute(&mut *conn).await?;
    let detail = json!({
        "attempt": refused.of.map(|(_, attempt)| attempt), "code": refused.code, "door": refused.door,
    });
    let event = NewFlowEvent {
        run: refused.of.map(|(run, _)| run),
        ..NewFlowEvent::new(at, "gateway", "token_refused", detail)
    };
    audit::append(conn, event).await
}
