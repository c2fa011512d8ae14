//! Calls to the model API, counted for each attempt.

use chrono::{DateTime, Utc};
use domain::{
    ids::{Attempt, RunId},
    job::Usage,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result,
    convert::{attempt_number, stored, unsigned},
};

/// Names a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModelCallId(pub Uuid);

/// What an attempt has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Calls begun.
    pub calls: u32,
    /// Tokens, as far as reported.
    pub usage: Usage,
}

/// Notes that a call begins.
///
/// # Errors
/// The attempt is not there, or the database fails.
pub async fn begin(conn: &mut PgConnection, run: RunId, attempt: Attempt, now: DateTime<Utc>) -> Result<ModelCallId> {
    let id = Uuid::now_v7();
    sqlx::query!(
        "insert into model_calls (id, run_id, attempt, started_at) values ($1, $2, $3, $4)",
        id,
        run.as_uuid(),
        attempt_number(attempt),
        now,
    )
    .execute(conn)
    .await?;
    Ok(ModelCallId(id))
}

/// Notes how a call ended. The first end stays. No status: there was no answer.
///
/// # Errors
/// The database fails.
pub async fn finish(
    conn: &mut PgConnection,
    id: ModelCallId,
    status: Option<u16>,
    usage: Usage,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "update model_calls set finished_at = $2, status = $3, input_tokens = $4, cached_input_tokens = $5, \
             output_tokens = $6, reasoning_output_tokens = $7 \
         where id = $1 and finished_at is null",
        id.0,
        now,
        status.map(i32::from),
        stored(usage.input_tokens),
        stored(usage.cached_input_tokens),
        stored(usage.output_tokens),
        stored(usage.reasoning_output_tokens),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What an attempt has used so far.
///
/// # Errors
/// The database fails.
pub async fn sum_for_attempt(conn: &mut PgConnection, run: RunId, attempt: Attempt) -> Result<Spent> {
    let row = sqlx::query!(
        "select count(*) as \"calls!\", coalesce(sum(input_tokens), 0)::bigint as \"input!\", \
             coalesce(sum(cached_input_tokens), 0)::bigint as \"cached!\", \
             coalesce(sum(output_tokens), 0)::bigint as \"output!\", \
             coalesce(sum(reasoning_output_tokens), 0)::bigint as \"reasoning!\" \
         from model_calls where run_id = $1 and attempt = $2",
        run.as_uuid(),
        attempt_number(attempt),
    )
    .fetch_one(conn)
    .await?;
    Ok(Spent {
        calls: unsigned("model_calls", "count", row.calls)?,
        usage: Usage {
            input_tokens: unsigned("model_calls", "input_tokens", row.input)?,
            cached_input_tokens: unsigned("model_calls", "cached_input_tokens", row.cached)?,
            output_tokens: unsigned("model_calls", "output_tokens", row.output)?,
            reasoning_output_tokens: unsigned("model_calls", "reasoning_output_tokens", row.reasoning)?,
        },
    })
}
