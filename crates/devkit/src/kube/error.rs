//! Why there is no cluster, or why it does not do what it should.

use crate::{file_error::FileError, tools::ToolError};

/// Why a cluster can't be had or used.
#[derive(Debug, thiserror::Error)]
pub enum KubeError {
    /// Nothing here can be or run a cluster. Not a failure of the platform: tests of the layer are left out.
    #[error("no Kubernetes cluster: {why}")]
    Unavailable {
        /// What is missing, and what helps.
        why: String,
    },
    /// A variable that names a cluster is no good.
    #[error("{variable} is {problem}")]
    Given {
        /// The variable.
        variable: &'static str,
        /// What is wrong with it, and what it should be.
        problem: String,
    },
    /// A program failed.
    #[error("{what} failed; the end of what it said:\n{output}")]
    Program {
        /// What it was to do.
        what: &'static str,
        /// The last lines it wrote.
        output: String,
    },
    /// A file could not be used.
    #[error(transparent)]
    Files(#[from] FileError),
    /// A tool is missing.
    #[error(transparent)]
    Tool(#[from] ToolError),
}

impl KubeError {
    pub(super) fn unavailable(why: impl Into<String>) -> Self {
        Self::Unavailable { why: why.into() }
    }
}
