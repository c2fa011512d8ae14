//! The real Postgres and Temporal, on loopback.

pub(crate) mod fleeting;
mod postgres;
mod ready;
mod temporal;

pub use postgres::{Durability, Postgres};
pub use ready::{Readiness, await_ready};
pub use temporal::Temporal;

use std::{io, time::Duration};

use crate::{file_error::FileError, processes::ProcessError};

/// Why a service is not there.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Its process could not be run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Its files could not be prepared.
    #[error(transparent)]
    Files(#[from] FileError),
    /// No port is free.
    #[error("no free port on loopback")]
    Port(#[source] io::Error),
    /// A program of it failed.
    #[error("{program} failed: {output}")]
    Program {
        /// Which one.
        program: &'static str,
        /// What it said.
        output: String,
    },
    /// It ended before it was ready.
    #[error("{name} ended before it was ready ({status}); the end of its log:\n{tail}")]
    Died {
        /// What people call it.
        name: String,
        /// How it ended.
        status: String,
        /// The last lines it wrote.
        tail: String,
    },
    /// It did not become ready.
    #[error("{name} was not ready after {limit:?}; the end of its log:\n{tail}")]
    Slow {
        /// What people call it.
        name: String,
        /// How long we waited.
        limit: Duration,
        /// The last lines it wrote.
        tail: String,
    },
}
