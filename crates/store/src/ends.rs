//! Ends of attempts that the forge was not shown yet.
//!
//! Whoever shows an end says so with [`shown`]. A run that ends without a workflow, or whose workflow could not show it, is
//! found by [`owed`].

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{Attempt, RepositoryId, RunId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result,
    convert::{self, attempt_number},
};

/// An end that is to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owed {
    /// The run.
    pub run: RunId,
    /// Its newest attempt, which has ended.
    pub attempt: Attempt,
    /// How often showing it has failed.
    pub tries: u32,
}

struct Row {
    run_id: Uuid,
    attempt: i32,
    tries: i32,
}

/// Whose ends are owed.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// Now.
    pub now: DateTime<Utc>,
    /// An attempt that came to its settling is shown by its workflow; after this long somebody else does.
    pub patience: TimeDelta,
    /// Ends older than this are given up.
    pub give_up: TimeDelta,
}

/// Ends of the newest attempts that are owed to the forge, the oldest first; at most 100. Ends that no workflow settled are
/// owed at once.
///
/// # Errors
/// The database fails.
pub async fn owed(conn: &mut PgConnection, due: Due) -> Result<Vec<Owed>> {
    let rows = sqlx::query_as!(
        Row,
        "select a.run_id, a.attempt, a.end_show_tries as tries from attempts a \
         join runs r on r.id = a.run_id and r.attempt = a.attempt \
         where a.finished_at is not null and a.end_shown_at is null and r.state = 'finished' \
             and a.finished_at > $2 and (a.end_show_after is null or a.end_show_after <= $1) \
             and (a.finished_at <= $3 or not exists (select from steps s \
                 where s.run_id = a.run_id and s.attempt = a.attempt and s.step = 'settle')) \
         order by a.finished_at limit 100",
        due.now,
        due.now - due.give_up,
        due.now - due.patience,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Owed {
                run: RunId::from_uuid(row.run_id),
                attempt: convert::attempt("attempts", row.attempt)?,
                tries: convert::unsigned("attempts", "end_show_tries", row.tries)?,
            })
        })
        .collect()
}

/// Notes that the forge was shown how an attempt ended. Nothing if it has not ended.
///
/// # Errors
/// The database fails.
pub async fn shown(conn: &mut PgConnection, run: RunId, attempt: Attempt, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update attempts set end_shown_at = $3 \
         where run_id = $1 and attempt = $2 and finished_at is not null and end_shown_at is null",
        run.as_uuid(),
        attempt_number(attempt),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that showing an end failed, and when to try again.
///
/// # Errors
/// The database fails.
pub async fn postpone(conn: &mut PgConnection, run: RunId, attempt: Attempt, after: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update attempts set end_show_tries = end_show_tries + 1, end_show_after = $3 \
         where run_id = $1 and attempt = $2 and end_shown_at is null",
        run.as_uuid(),
        attempt_number(attempt),
        after,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How many runs of a repository have ended since then and are not shown yet.
///
/// # Errors
/// The database fails.
pub async fn count_unshown(conn: &mut PgConnection, repository: RepositoryId, since: DateTime<Utc>) -> Result<usize> {
    let count = sqlx::query_scalar!(
        "select count(*) as \"count!\" from attempts a join runs r on r.id = a.run_id and r.attempt = a.attempt \
         where r.repository_id = $1 and a.finished_at > $2 and a.end_shown_at is null and r.state = 'finished'",
        repository.as_uuid(),
        since,
    )
    .fetch_one(conn)
    .await?;
    convert::unsigned("attempts", "count", count)
}
