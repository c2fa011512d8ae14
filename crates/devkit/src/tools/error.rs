//! Why a tool is not there.

use crate::file_error::FileError;
use std::path::PathBuf;

/// Why a tool could not be found or installed.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// A program that is not ours to install is missing.
    #[error("{what} is missing; install it with: {command}")]
    Prerequisite {
        /// Its name.
        what: &'static str,
        /// The command that installs it.
        command: &'static str,
    },
    /// An override variable names something that does not fit.
    #[error("{variable} names {path}, which is not {wanted}", path = path.display())]
    Override {
        /// The variable.
        variable: &'static str,
        /// Its value.
        path: PathBuf,
        /// What it should be.
        wanted: String,
    },
    /// No build of a tool is known for this processor.
    #[error("no build of the Codex CLI is known for {arch}; set CODEX_K8S_CODEX to one")]
    UnknownMachine {
        /// The processor.
        arch: &'static str,
    },
    /// The package manager failed.
    #[error("{title} could not be installed: {command} failed\n{output}")]
    Install {
        /// What was to be installed.
        title: &'static str,
        /// The command.
        command: String,
        /// The end of what it printed.
        output: String,
    },
    /// The package does not hold what it should.
    #[error("{title} was installed but {path} is not in it", path = path.display())]
    Incomplete {
        /// What was installed.
        title: &'static str,
        /// The file that was expected.
        path: PathBuf,
    },
    /// There is not enough room.
    #[error("{path} has {free_mib} MiB free, {needed_mib} MiB are needed: free some space, or set CODEX_K8S_CACHE to a folder on another disk", path = path.display())]
    DiskFull {
        /// The folder.
        path: PathBuf,
        /// What is free.
        free_mib: u64,
        /// What is needed.
        needed_mib: u64,
    },
    /// The cache cannot be written.
    #[error(transparent)]
    Cache(#[from] FileError),
}
