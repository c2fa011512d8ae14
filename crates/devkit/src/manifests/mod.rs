//! The manifests in `deploy/`: rendered with kustomize, held to Kubernetes' own schemas and to rules of our own.

mod docker;
mod docker_context;
mod lock;
mod networks;
mod object;
mod rbac;
mod render;
pub mod schemas;
mod secrets;
mod settings;
mod workloads;

use std::{fmt, io, path::PathBuf};

pub use lock::{Lock, LockedImage};
pub use object::Object;
pub use render::{OVERLAYS, Rendered, render};

use crate::{file_error::FileError, tools::ToolError};

/// Something about an object that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which object, or which file.
    pub place: String,
    /// What is wrong with it, and what helps.
    pub problem: String,
}

impl Finding {
    fn new(place: impl fmt::Display, problem: impl Into<String>) -> Self {
        Self { place: place.to_string(), problem: problem.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.problem)
    }
}

/// Everything in a rendered set that breaks one of our rules.
#[must_use]
pub fn findings(objects: &[Object], lock: &Lock) -> Vec<Finding> {
    [
        networks::findings(objects),
        workloads::findings(objects),
        rbac::findings(objects),
        secrets::findings(objects),
        settings::findings(objects),
        lock.findings(objects),
    ]
    .concat()
}

/// What nobody has put in yet: places that say `unresolved`. An installation can't go without them, the tree can.
#[must_use]
pub fn unresolved(objects: &[Object]) -> Vec<String> {
    let mut found: Vec<String> = objects
        .iter()
        .flat_map(|object| {
            let texts = object.texts().into_iter().filter(|(_, text)| text.contains(lock::UNRESOLVED));
            texts.map(move |(path, text)| format!("{object}{path} is `{text}`"))
        })
        .collect();
    found.sort();
    found
}

/// Findings about the Dockerfiles of a tree.
///
/// # Errors
/// When they cannot be read.
pub fn dockerfile_findings(tree: &std::path::Path, lock: &Lock) -> Result<Vec<Finding>, ManifestError> {
    docker::findings(tree, lock)
}

/// Why the manifests could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A tool is missing.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// A program could not be run.
    #[error("{program} could not be run")]
    Run {
        /// Which one.
        program: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// kustomize refused to render a folder.
    #[error("kustomize can't render {folder}: {words}", folder = folder.display())]
    Render {
        /// Which folder.
        folder: PathBuf,
        /// Its words.
        words: String,
    },
    /// What was rendered is no YAML, or no list of objects.
    #[error("what kustomize made of {folder} can't be read: {problem}", folder = folder.display())]
    Form {
        /// Which folder.
        folder: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The lock file can't be understood.
    #[error("{path} can't be understood: {problem}", path = path.display())]
    Lock {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A file could not be used.
    #[error(transparent)]
    Files(#[from] FileError),
}
