//! The schema, compiled in.

use sqlx::{PgPool, migrate::Migrator};

use crate::{Result, StoreError};

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
