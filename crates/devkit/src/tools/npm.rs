//! Programs and data that are published as npm packages.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{ToolError, install, prerequisites};
use crate::file_error::FileError;

/// A set of npm packages, pinned by a lock file with integrity hashes.
pub(super) struct NpmSet<'a> {
    pub(super) title: &'static str,
    pub(super) folder: &'static str,
    pub(super) manifest: &'a str,
    pub(super) lock: &'a str,
}

impl NpmSet<'_> {
    /// Installs the packages, once, and returns the folder that holds `node_modules`.
    pub(super) fn install(&self, cache: &Path) -> Result<PathBuf, ToolError> {
        let folder = install::pinned_folder(self.folder, self.lock);
        install::once(cache, self.title, &folder, |fresh| {
            prerequisites::require_node()?;
            for (name, text) in [("package.json", self.manifest), ("package-lock.json", self.lock)] {
                let path = fresh.join(name);
                fs::write(&path, text).map_err(FileError::of("write", &path))?;
            }
            // Install scripts are never run: what is unpacked is what the lock file hashed.
            install::run(
                self.title,
                Command::new("npm")
                    .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                    .args(["--loglevel", "error"])
                    .current_dir(fresh),
            )
        })
    }
}
