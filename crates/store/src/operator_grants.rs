//! Who may change things in the engine's own UI.

use chrono::{DateTime, Utc};
use domain::ids::PersonId;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, convert::clean};

/// A grant that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorGrant {
    /// Who holds it.
    pub person: PersonId,
    /// Why.
    pub reason: String,
    /// Login of who gave it, or their address.
    pub given_by: String,
    /// Since when.
    pub given_at: DateTime<Utc>,
}

/// A grant to give.
#[derive(Clone, Copy, Debug)]
pub struct NewGrant<'a> {
    /// To whom.
    pub person: PersonId,
    /// Why.
    pub reason: &'a str,
    /// Who gives it.
    pub by: PersonId,
    /// Now.
    pub now: DateTime<Utc>,
}

/// Gives somebody the grant; false if they hold it already.
///
/// # Errors
/// The database fails.
pub async fn give(conn: &mut PgConnection, new: NewGrant<'_>) -> Result<bool> {
    let given = sqlx::query!(
        "insert into operator_grants (id, person_id, reason, given_by, given_at) values ($1, $2, $3, $4, $5) \
         on conflict do nothing",
        Uuid::now_v7(),
        new.person.as_uuid(),
        &clean(new.reason),
        new.by.as_uuid(),
        new.now,
    )
    .execute(conn)
    .await?;
    Ok(given.rows_affected() > 0)
}

/// Takes the grant from somebody; false if they do not hold it.
///
/// # Errors
/// The database fails.
pub async fn withdraw(conn: &mut PgConnection, person: PersonId, by: PersonId, now: DateTime<Utc>) -> Result<bool> {
    let withdrawn = sqlx::query!(
        "update operator_grants set withdrawn_by = $2, withdrawn_at = $3 where person_id = $1 and withdrawn_at is null",
        person.as_uuid(),
        by.as_uuid(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(withdrawn.rows_affected() > 0)
}

/// The grants that these people hold.
///
/// # Errors
/// The database fails.
pub async fn held(conn: &mut PgConnection, people: &[PersonId]) -> Result<Vec<OperatorGrant>> {
    let ids: Vec<Uuid> = people.iter().map(|person| person.as_uuid()).collect();
    let rows = sqlx::query!(
        "select g.person_id, g.reason, coalesce(p.login, p.email) as \"given_by!\", g.given_at \
         from operator_grants g join people p on p.id = g.given_by \
         where g.person_id = any($1) and g.withdrawn_at is null",
        &ids,
    )
    .fetch_all(conn)
    .await?;
    let grants = rows.into_iter().map(|row| OperatorGrant {
        person: PersonId::from_uuid(row.person_id),
        reason: row.reason,
        given_by: row.given_by,
        given_at: row.given_at,
    });
    Ok(grants.collect())
}

/// The grant that somebody holds.
///
/// # Errors
/// The database fails.
pub async fn of(conn: &mut PgConnection, person: PersonId) -> Result<Option<OperatorGrant>> {
    Ok(held(conn, &[person]).await?.pop())
}
