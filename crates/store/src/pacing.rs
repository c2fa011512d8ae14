//! Pacing of writes to the forge, for each credential: ten at once, then one a second; never more than 80 in any minute nor
//! 500 in any hour, the last of which are kept back for what must be said.
//!
//! Nothing is reserved: who is told a time comes back then or later and asks again, so that one who dies meanwhile holds up nobody.

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::CredentialId;
use sqlx::PgConnection;

use crate::{Result, StoreError, convert};

/// Writes that may go out at once.
const BURST: i32 = 10;
/// Once those have gone out, one may in so long.
pub const APART: TimeDelta = TimeDelta::seconds(1);
/// Writes in any minute.
const PER_MINUTE: i64 = 80;
/// Writes in any hour.
const PER_HOUR: i64 = 500;

/// Writes of the hour that are kept back for what must be said: ends, and waits.
const KEPT_BACK: i64 = 20;

/// What a write is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Urgency {
    /// One of many.
    Ordinary,
    /// It says how something ended, or until when it waits: it may take what is kept back.
    Final,
}

impl Urgency {
    const fn per_hour(self) -> i64 {
        match self {
            Self::Ordinary => PER_HOUR - KEPT_BACK,
            Self::Final => PER_HOUR,
        }
    }
}

/// Answer to the wish to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Write now.
    Now,
    /// Ask again then.
    At(DateTime<Utc>),
}

/// Asks to make one write. Commit before it is made. Those who ask for one credential at once wait for each other.
///
/// # Errors
/// The credential is not there, or the database fails.
pub async fn take(
    conn: &mut PgConnection,
    credential: CredentialId,
    urgency: Urgency,
    now: DateTime<Utc>,
) -> Result<Taken> {
    let id = credential.as_uuid();
    let head = match head(conn, credential).await? {
        Some(head) => head,
        None => {
            sqlx::query!(
                "insert into write_pacing (credential_id, refilled_at) values ($1, $2) on conflict do nothing",
                id,
                now,
            )
            .execute(&mut *conn)
            .await?;
            head(conn, credential).await?.ok_or_else(|| StoreError::missing("credential", &credential))?
        }
    };
    let last = sqlx::query!(
        "select (select at from write_takes where credential_id = $1 and n = $2) as minute, \
                (select at from write_takes where credential_id = $1 and n = $3) as hour",
        id,
        head.taken + 1 - PER_MINUTE,
        head.taken + 1 - urgency.per_hour(),
    )
    .fetch_one(&mut *conn)
    .await?;
    let earliest = [
        Some(head.refilled_at - APART * (BURST - 1)),
        last.minute.map(|at| at + TimeDelta::minutes(1)),
        last.hour.map(|at| at + TimeDelta::hours(1)),
    ];
    if let Some(at) = earliest.into_iter().flatten().max().filter(|at| *at > now) {
        return Ok(Taken::At(at));
    }
    sqlx::query!(
        "with moved as (update write_pacing set taken = $2, refilled_at = $3 where credential_id = $1), \
         dropped as (delete from write_takes where credential_id = $1 and n <= $4) \
         insert into write_takes (credential_id, n, at) values ($1, $2, $5)",
        id,
        head.taken + 1,
        head.refilled_at.max(now) + APART,
        head.taken + 1 - PER_HOUR,
        now,
    )
    .execute(conn)
    .await?;
    Ok(Taken::Now)
}

struct Head {
    taken: i64,
    refilled_at: DateTime<Utc>,
}

/// How far the writes of a credential are, held until the transaction ends; none before the first.
async fn head(conn: &mut PgConnection, credential: CredentialId) -> Result<Option<Head>> {
    let head = sqlx::query_as!(
        Head,
        "select taken, refilled_at from write_pacing where credential_id = $1 for update",
        credential.as_uuid()
    );
    Ok(head.fetch_optional(conn).await?)
}

/// How many writes of the hour are left. Who may wait does so the longer, the fewer there are.
///
/// # Errors
/// The database fails.
pub async fn left_this_hour(conn: &mut PgConnection, credential: CredentialId, now: DateTime<Utc>) -> Result<u32> {
    let used = sqlx::query_scalar!(
        "select count(*) as \"used!\" from write_takes where credential_id = $1 and at > $2",
        credential.as_uuid(),
        now - TimeDelta::hours(1),
    )
    .fetch_one(conn)
    .await?;
    convert::unsigned("write_takes", "count", (PER_HOUR - used).max(0))
}
