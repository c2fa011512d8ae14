//! `cargo dev test` and `cargo dev env`: the tests, on real parts.

mod in_cluster;
mod kept;
mod layers;
mod run;
mod services;
mod tally;

pub use kept::{export_lines, keep, stop_kept};
pub use layers::Layer;
pub use run::{Selection, run};
pub use services::{TestPostgres, TestServices};

use std::{io, path::PathBuf};

use crate::{file_error::FileError, kube::KubeError, services::ServiceError, tools::ToolError};

/// Why the tests could not be run.
#[derive(Debug, thiserror::Error)]
pub enum TestingError {
    /// A tool is missing.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// A service did not come up.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// There is no cluster, or it does not work.
    #[error(transparent)]
    Kube(#[from] KubeError),
    /// A file could not be used.
    #[error(transparent)]
    Files(#[from] FileError),
    /// cargo could not be run.
    #[error("cargo could not be run")]
    Cargo(#[source] io::Error),
    /// The process that keeps the services did not come up.
    #[error("the test services did not start; see {log}", log = log.display())]
    Keeper {
        /// Its log.
        log: PathBuf,
    },
}
