//! Slots of projects: first come, first served.
//!
//! The lock of the project's row orders all claims and releases. Granting returns whom: the caller enqueues the signal to
//! each workflow in the same transaction, since only the caller knows the workflow ids.

use chrono::{DateTime, Utc};
use domain::{
    ids::{Attempt, ProjectId, RunId},
    run::RunState,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result, StoreError,
    convert::{self, attempt_number},
};

/// Answer to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotAnswer {
    /// The slot is held.
    Granted,
    /// It is not; a grant follows.
    Waiting {
        /// Place in the queue, 1 being next.
        place: u32,
    },
    /// The run has ended, the attempt gave its slot back before, or a later attempt has claimed one: it must not go on.
    Over,
}

/// Somebody who waited and now holds a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The run.
    pub run: RunId,
    /// Its attempt.
    pub attempt: Attempt,
}

/// A slot that is held or waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The run.
    pub run: RunId,
    /// Its attempt.
    pub attempt: Attempt,
    /// Place in the queue, 1 being next; none if it holds a slot.
    pub waiting: Option<u32>,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// When it was granted.
    pub granted_at: Option<DateTime<Utc>>,
}

/// Claims a slot for an attempt. The same claim again gives the same answer, or what has become of it.
///
/// # Errors
/// The run or project is not there, or the database fails.
pub async fn claim(
    conn: &mut PgConnection,
    run: RunId,
    attempt: Attempt,
    project: ProjectId,
    now: DateTime<Utc>,
) -> Result<SlotAnswer> {
    // Who ends the run takes this lock, too, and before the project's: a late claim finds the end, an early one is found.
    let state = sqlx::query_scalar!("select state from runs where id = $1 for no key update", run.as_uuid())
        .fetch_optional(&mut *conn)
        .await?
        .ok_or_else(|| StoreError::missing("run", &run))?;
    if state == RunState::Finished.as_str() {
        return Ok(SlotAnswer::Over);
    }
    lock_project(conn, project.as_uuid()).await?;
    // A later attempt takes over what an earlier one may have left, and goes to the end of the queue.
    sqlx::query!(
        "insert into slot_claims (run_id, attempt, project_id, requested_at) values ($1, $2, $3, $4) \
         on conflict (run_id) do update set attempt = excluded.attempt, project_id = excluded.project_id, \
             ticket = default, requested_at = excluded.requested_at, granted_at = null, released_at = null \
             where slot_claims.attempt < excluded.attempt",
        run.as_uuid(),
        attempt_number(attempt),
        project.as_uuid(),
        now,
    )
    .execute(&mut *conn)
    .await?;
    // Held by somebody else, or waited for since before: all of them come first.
    let granted = sqlx::query!(
        "update slot_claims c set granted_at = $3 from projects p \
         where c.run_id = $1 and c.attempt = $2 and c.granted_at is null and c.released_at is null \
             and p.id = c.project_id and p.slots > (select count(*) from slot_claims o \
                 where o.project_id = c.project_id and o.released_at is null and o.run_id <> c.run_id \
                     and (o.granted_at is not null or o.ticket < c.ticket))",
        run.as_uuid(),
        attempt_number(attempt),
        now,
    )
    .execute(&mut *conn)
    .await?;
    if granted.rows_affected() > 0 {
        return Ok(SlotAnswer::Granted);
    }
    let claim = sqlx::query!(
        "select c.attempt, c.granted_at, c.released_at, (select count(*) from slot_claims w \
             where w.project_id = c.project_id and w.granted_at is null and w.released_at is null \
                 and w.ticket <= c.ticket) as \"place!\" \
         from slot_claims c where c.run_id = $1",
        run.as_uuid()
    )
    .fetch_one(conn)
    .await?;
    Ok(match (claim.granted_at, claim.released_at) {
        _ if claim.attempt != attempt_number(attempt) => SlotAnswer::Over,
        (_, Some(_)) => SlotAnswer::Over,
        (Some(_), None) => SlotAnswer::Granted,
        (None, None) => SlotAnswer::Waiting { place: convert::unsigned("slot_claims", "place", claim.place)? },
    })
}

/// Gives a slot back, or stops waiting for one, and grants what is free then. Once more is harmless, and so is a release
/// that comes after a later attempt's claim. The caller enqueues the signal to each of the granted in this transaction.
///
/// # Errors
/// The database fails.
pub async fn release(conn: &mut PgConnection, run: RunId, attempt: Attempt, now: DateTime<Utc>) -> Result<Vec<Grant>> {
    let Some(project) = sqlx::query_scalar!("select project_id from slot_claims where run_id = $1", run.as_uuid())
        .fetch_optional(&mut *conn)
        .await?
    else {
        return Ok(Vec::new());
    };
    lock_project(conn, project).await?;
    let released = sqlx::query!(
        "update slot_claims set released_at = $3 where run_id = $1 and attempt = $2 and released_at is null",
        run.as_uuid(),
        attempt_number(attempt),
        now,
    )
    .execute(&mut *conn)
    .await?;
    if released.rows_affected() == 0 {
        return Ok(Vec::new());
    }
    grant_free(conn, project, now).await
}

/// Grants what is free: after a project was given more slots, or by a reconciler. The caller enqueues the signals.
///
/// # Errors
/// The project is not there, or the database fails.
pub async fn grant_waiting(conn: &mut PgConnection, project: ProjectId, now: DateTime<Utc>) -> Result<Vec<Grant>> {
    lock_project(conn, project.as_uuid()).await?;
    grant_free(conn, project.as_uuid(), now).await
}

/// How many slots a project has; nobody claims, releases or changes one until the transaction ends.
///
/// # Errors
/// The project is not there, or the database fails.
pub async fn lock(conn: &mut PgConnection, project: ProjectId) -> Result<u32> {
    convert::unsigned("projects", "slots", lock_project(conn, project.as_uuid()).await?)
}

async fn lock_project(conn: &mut PgConnection, project: Uuid) -> Result<i32> {
    // Not `for update`: that would wait for whoever is inserting a run, whose foreign key shares the row's key.
    sqlx::query!("select slots from projects where id = $1 for no key update", project)
        .fetch_optional(conn)
        .await?
        .map(|row| row.slots)
        .ok_or_else(|| StoreError::missing("project", &project))
}

async fn grant_free(conn: &mut PgConnection, project: Uuid, now: DateTime<Utc>) -> Result<Vec<Grant>> {
    let rows = sqlx::query!(
        "with free as ( \
             select greatest(p.slots - (select count(*) from slot_claims h where h.project_id = p.id \
                 and h.granted_at is not null and h.released_at is null), 0) as n \
             from projects p where p.id = $1), \
         next as ( \
             select run_id, ticket from slot_claims \
             where project_id = $1 and granted_at is null and released_at is null \
             order by ticket limit (select n from free)), \
         granted as ( \
             update slot_claims c set granted_at = $2 from next where c.run_id = next.run_id \
             returning c.run_id, c.attempt, c.ticket) \
         select run_id, attempt from granted order by ticket",
        project,
        now,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Grant { run: RunId::from_uuid(row.run_id), attempt: convert::attempt("slot_claims", row.attempt)? })
        })
        .collect()
}

/// Who holds the slots of a project and who waits, in order.
///
/// # Errors
/// The database fails.
pub async fn places(conn: &mut PgConnection, project: ProjectId) -> Result<Vec<Place>> {
    let rows = sqlx::query!(
        "select run_id, attempt, requested_at, granted_at from slot_claims \
         where project_id = $1 and released_at is null order by granted_at is null, ticket",
        project.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    let mut waiting = 0;
    rows.into_iter()
        .map(|row| {
            Ok(Place {
                run: RunId::from_uuid(row.run_id),
                attempt: convert::attempt("slot_claims", row.attempt)?,
                waiting: row.granted_at.is_none().then(|| {
                    waiting += 1;
                    waiting
                }),
                requested_at: row.requested_at,
                granted_at: row.granted_at,
            })
        })
        .collect()
}
