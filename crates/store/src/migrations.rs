//! The schema, compiled in.

use chrono::{DateTime, Utc};
use sqlx::{PgPool, migrate::Migrator};

use crate::{PgConnection, Result, StoreError};

/// Every migration, in order. Forward only.
pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// Brings the schema up to date. Several may do it at once: they wait for each other.
///
/// # Errors
/// The database can't be reached, or holds a schema that these migrations did not make.
pub async fn migrate(pool: &PgPool) -> Result<()> {
    let mut conn = pool.acquire().await?;
    // An index over a large table takes longer than any request may.
    sqlx::query!("set statement_timeout = 0").execute(&mut *conn).await?;
    sqlx::query!("set lock_timeout = 0").execute(&mut *conn).await?;
    let outcome = MIGRATOR.run(&mut *conn).await;
    // The settings must not go back to the pool.
    sqlx::Connection::close(conn.detach()).await?;
    outcome.map_err(|error| StoreError::Migration(Box::new(error)))
}

/// The schema in the database, as far as this program cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// Everything that this program needs is there, and maybe more: a later release may have expanded it.
    Fits,
    /// A migration of this program has not run.
    Lacks {
        /// The first of them.
        version: i64,
    },
    /// No migration has run.
    Missing,
}

/// Looks which schema the database has.
///
/// # Errors
/// The database fails.
pub async fn schema(conn: &mut PgConnection) -> Result<Schema> {
    let found = sqlx::query_scalar!("select version from _sqlx_migrations where success").fetch_all(conn).await;
    let found = match found {
        Ok(found) => found,
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(UNDEFINED_TABLE) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    if found.is_empty() {
        return Ok(Schema::Missing);
    }
    let lacking = MIGRATOR.iter().map(|migration| migration.version).find(|version| !found.contains(version));
    Ok(lacking.map_or(Schema::Fits, |version| Schema::Lacks { version }))
}

/// A migration that was applied to the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedMigration {
    /// The version of the schema that it made.
    pub version: i64,
    /// What it did, in a few words.
    pub description: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// The migration that made the schema what it is. None of them: the schema is missing.
///
/// # Errors
/// The database fails.
pub async fn last_migration(conn: &mut PgConnection) -> Result<Option<AppliedMigration>> {
    let found = sqlx::query_as!(
        AppliedMigration,
        "select version, description, installed_on as at from _sqlx_migrations where success order by version desc limit 1"
    );
    Ok(found.fetch_optional(conn).await?)
}

const UNDEFINED_TABLE: &str = "42P01";
