//! What can go wrong, as far as a caller does something different about it.

use sqlx::{error::DatabaseError, migrate::MigrateError};

/// Result of a function of this crate.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// A database operation failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database can't do it now; the same call may succeed later.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// Somebody else was first. The transaction is lost.
    #[error("the constraint `{constraint}` does not allow it")]
    Conflict {
        /// Name of the constraint.
        constraint: String,
    },
    /// What was asked for is not there, though the caller holds its id.
    #[error("there is no {what} {id}")]
    Missing {
        /// What it is.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// A row holds what this program can't read.
    #[error("{table}.{column} can't be read: {detail}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The schema could not be brought up to date.
    #[error("the schema could not be migrated")]
    Migration(#[source] Box<MigrateError>),
    /// The blob store failed.
    #[error("the blob `{key}` could not be {action}")]
    Blob {
        /// Key of the blob.
        key: String,
        /// What was tried: `read`, `written`.
        action: &'static str,
        /// The cause.
        #[source]
        source: object_store::Error,
    },
    /// Anything else: a mistake of ours.
    #[error("the statement failed")]
    Sql(#[source] sqlx::Error),
}

impl StoreError {
    pub(crate) fn missing(what: &'static str, id: &impl ToString) -> Self {
        Self::Missing { what, id: id.to_string() }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
            sqlx::Error::Database(inner) if passes_by_itself(inner.as_ref()) => Self::Unavailable(error),
            sqlx::Error::Database(inner) if inner.is_unique_violation() || inner.is_foreign_key_violation() => {
                Self::Conflict { constraint: inner.constraint().unwrap_or("unnamed").to_owned() }
            }
            _ => Self::Sql(error),
        }
    }
}

/// Connection trouble (08), no resources (53), shutting down or cancelled (57), a lost race (40), a lock not had in time,
/// or a read-only server, as a primary is that was just demoted.
fn passes_by_itself(error: &dyn DatabaseError) -> bool {
    let Some(code) = error.code() else { return false };
    ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class)) || code == "55P03" || code == "25006"
}
