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

use crate::{kube::KubeError, services::ServiceError, tools::ToolError};

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
    #[error("cannot {action} {path}", path = path.display())]
    Files {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
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

impl TestingError {
    fn files(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Files { action, path, source }
    }
}
