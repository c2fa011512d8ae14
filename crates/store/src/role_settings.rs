//! What each role was told at its start, as far as it matters to people.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::told_settings::{ToldRole, ToldSettings};
use sqlx::PgConnection;

use crate::{Result, Store, convert};

/// How often a database that is not there yet is tried.
const RETRY: Duration = Duration::from_secs(2);

/// What a role was told, and when it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleSettings {
    /// The role.
    pub role: ToldRole,
    /// What it was told.
    pub told: ToldSettings,
    /// When the newest of its processes began.
    pub at: DateTime<Utc>,
}

/// Stores what a role was told.
///
/// # Errors
/// The database fails.
pub async fn put(conn: &mut PgConnection, role: ToldRole, told: &ToldSettings, now: DateTime<Utc>) -> Result<()> {
    let told = convert::to_json("role_settings", "told", told)?;
    sqlx::query!(
        "insert into role_settings (role, told, at) values ($1, $2, $3) \
         on conflict (role) do update set told = excluded.told, at = excluded.at where role_settings.at <= excluded.at",
        role.as_str(),
        told,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Stores it as soon as there is a database.
pub async fn put_in_time(store: &Store, role: ToldRole, told: &ToldSettings, now: DateTime<Utc>) {
    loop {
        let stored = match store.acquire().await {
            Ok(mut conn) => put(&mut conn, role, told, now).await,
            Err(error) => Err(error),
        };
        match stored {
            Ok(()) => return,
            Err(error) => tracing::debug!(%error, "the settings of the role are stored later"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Of every role that has begun, by name.
///
/// # Errors
/// The database fails.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<RoleSettings>> {
    let rows = sqlx::query!("select role, told, at from role_settings order by role").fetch_all(conn).await?;
    rows.into_iter()
        .map(|row| {
            Ok(RoleSettings {
                role: convert::parse("role_settings", "role", &row.role)?,
                told: convert::json("role_settings", "told", row.told)?,
                at: row.at,
            })
        })
        .collect()
}

/// Version of the database's server.
///
/// # Errors
/// The database fails.
pub async fn server_version(conn: &mut PgConnection) -> Result<String> {
    Ok(sqlx::query_scalar!("select current_setting('server_version') as \"version!\"").fetch_one(conn).await?)
}
