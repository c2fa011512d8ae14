//! Locks that end with their transaction.

use domain::ids::RunId;
use sqlx::PgConnection;

use crate::Result;

/// What one transaction at a time works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn(String);

impl Turn {
    /// An issue or pull request, which share one space of numbers: events about it are judged one after another.
    #[must_use]
    pub fn subject(forge_repo_id: i64, number: i64) -> Self {
        Self(format!("subject {forge_repo_id} {number}"))
    }

    /// A repository, for events that are about no issue or pull request in it.
    #[must_use]
    pub fn repository(forge_repo_id: i64) -> Self {
        Self(format!("repository {forge_repo_id}"))
    }

    /// A delivery that is about nothing that is known here.
    #[must_use]
    pub fn delivery(hook_key: i64, guid: &str) -> Self {
        Self(format!("delivery {hook_key} {guid}"))
    }

    /// The sticky comment of a run: one writer at a time looks for it and, if there is none, writes it.
    #[must_use]
    pub fn sticky_comment(run: RunId) -> Self {
        Self(format!("comment {run}"))
    }
}

/// Waits until it is this transaction's turn.
///
/// # Errors
/// It does not come in time, or the database fails.
pub async fn take(conn: &mut PgConnection, turn: &Turn) -> Result<()> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1, 0))", &turn.0).fetch_one(conn).await?;
    Ok(())
}

/// Takes each of these that is nobody else's now; says of each whether it is this transaction's. Waits for nobody, so two
/// transactions that want the same ones never stand in each other's way for good.
///
/// # Errors
/// The database fails.
pub async fn take_free(conn: &mut PgConnection, turns: &[Turn]) -> Result<Vec<bool>> {
    let names: Vec<String> = turns.iter().map(|turn| turn.0.clone()).collect();
    Ok(sqlx::query_scalar!(
        "select pg_try_advisory_xact_lock(hashtextextended(name, 0)) as \"had!\" \
         from unnest($1::text[]) with ordinality as wanted (name, place) order by place",
        &names
    )
    .fetch_all(conn)
    .await?)
}
