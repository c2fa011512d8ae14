//! The staff console: its packages, its build, and a copy of its source to work in.
//!
//! Nothing is written into the tree: packages are installed by the lock file's hashes, the build is kept by the hash of
//! everything that goes into it, and tools work in a copy.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use sha2::{Digest, Sha256};

use crate::{console::Step, file_error::FileError, layout::Layout, tools, tools::ToolError};

const TITLE: &str = "packages of the console";
/// Where the source is in the tree.
const SOURCE: &str = "ui";
/// What it is made of and tried with that lies elsewhere: the description of the staff API, from which types are written, and
/// histories that the engine wrote.
const OTHERS: [&str; 4] = [
    "docs/openapi.json",
    "docs/sentences.json",
    "workflows/histories/agent-run-queued-no-change.json",
    "workflows/histories/agent-run-late-forge.json",
];
/// Not part of the source, whatever lies there on a developer's machine.
const NOT_SOURCE: [&str; 4] = ["node_modules", "dist", "test-results", ".vite"];

/// Why the console could not be built.
#[derive(Debug, thiserror::Error)]
pub enum StaffConsoleError {
    /// Its packages are not there.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// Vite failed.
    #[error("the console could not be built\n{output}")]
    Build {
        /// The end of what it printed.
        output: String,
    },
    /// A file could not be used.
    #[error(transparent)]
    Files(#[from] FileError),
}

/// A copy of the source with its packages, deleted when dropped.
#[derive(Debug)]
pub struct Workshop {
    folder: tempfile::TempDir,
}

impl Workshop {
    /// Copies the source and installs its packages, if they are not installed yet.
    ///
    /// # Errors
    /// When Node is missing, or a package or a file can't be had.
    pub fn open(layout: &Layout) -> Result<Self, StaffConsoleError> {
        let source = layout.tree.join(SOURCE);
        let packages = tools::npm_packages(&layout.cache, TITLE, &source)?;
        let folder = tempfile::Builder::new()
            .prefix("codex-k8s-console-")
            .tempdir()
            .map_err(FileError::of("create a folder in", std::env::temp_dir()))?;
        for name in files_of(&source)? {
            copy(&source.join(&name), &folder.path().join(SOURCE).join(&name))?;
        }
        for other in OTHERS {
            let path = layout.tree.join(other);
            if path.is_file() {
                copy(&path, &folder.path().join(other))?;
            }
        }
        let modules = folder.path().join(SOURCE).join("node_modules");
        symlink(packages.join("node_modules"), &modules).map_err(FileError::of("link", &modules))?;
        Ok(Self { folder })
    }

    /// The copy.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(SOURCE)
    }

    /// A program of the packages, to be run in the copy.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.path().join("node_modules/.bin").join(program));
        command.current_dir(self.path()).stdin(Stdio::null());
        command
    }
}

/// Whether the tree has a console at all.
#[must_use]
pub fn is_there(layout: &Layout) -> bool {
    layout.tree.join(SOURCE).join("package.json").is_file()
}

/// Builds the console, unless just this one was built before, and returns the folder that a gateway serves.
///
/// # Errors
/// When something that it needs is missing, or Vite fails.
pub fn built(layout: &Layout) -> Result<PathBuf, StaffConsoleError> {
    let all = layout.cache.join("console");
    let target = all.join(key(&layout.tree.join(SOURCE))?);
    if target.is_dir() {
        return Ok(target);
    }
    let workshop = Workshop::open(layout)?;
    let step = Step::announce("console", "building it, since its source has changed");
    fs::create_dir_all(&all).map_err(FileError::of("create", &all))?;
    let fresh = tempfile::Builder::new()
        .prefix(".building-")
        .tempdir_in(&all)
        .map_err(FileError::of("create a folder in", &all))?;
    let output = workshop
        .command("vite")
        .args(["build", "--logLevel", "warn", "--emptyOutDir", "--outDir"])
        .arg(fresh.path())
        .output()
        .map_err(FileError::of("run vite in", workshop.path()))?;
    if !output.status.success() {
        let text = [output.stdout, output.stderr].concat();
        return Err(StaffConsoleError::Build { output: String::from_utf8_lossy(&text).into_owned() });
    }
    open_to_all(fresh.path())?;
    match fs::rename(fresh.path(), &target) {
        // Somebody else built the same meanwhile.
        Err(_) if target.is_dir() => {}
        renamed => renamed.map_err(FileError::of("rename", fresh.path()))?,
    }
    step.done(target.display());
    Ok(target)
}

/// Changes with every file that goes into the build.
fn key(source: &Path) -> Result<String, StaffConsoleError> {
    let mut digest = Sha256::new();
    for name in files_of(source)? {
        let path = source.join(&name);
        let content = fs::read(&path).map_err(FileError::of("read", &path))?;
        digest.update(name.as_os_str().as_encoded_bytes());
        digest.update([0]);
        digest.update(Sha256::digest(&content));
    }
    Ok(hex::encode(digest.finalize().get(..8).unwrap_or_default()))
}

/// Every file of the source by its path from there, in order.
fn files_of(source: &Path) -> Result<Vec<PathBuf>, StaffConsoleError> {
    let mut files = Vec::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(prefix) = waiting.pop() {
        let folder = source.join(&prefix);
        for entry in fs::read_dir(&folder).map_err(FileError::of("read", &folder))? {
            let entry = entry.map_err(FileError::of("read", &folder))?;
            let name = entry.file_name();
            let kind = entry.file_type().map_err(FileError::of("read", entry.path()))?;
            if kind.is_dir() && !NOT_SOURCE.iter().any(|other| name == *other) {
                waiting.push(prefix.join(name));
            } else if kind.is_file() {
                files.push(prefix.join(name));
            }
        }
    }
    files.sort();
    Ok(files)
}

fn copy(from: &Path, to: &Path) -> Result<(), StaffConsoleError> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(FileError::of("create", folder))?;
    }
    Ok(fs::copy(from, to).map(|_| ()).map_err(FileError::of("copy", from))?)
}

fn open_to_all(path: &Path) -> Result<(), StaffConsoleError> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .map_err(FileError::of("set the permissions of", path))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_changes_with_the_source_and_with_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("src/main.ts", "one");
        let first = key(folder.path()).unwrap();
        write("node_modules/vue/index.js", "x");
        write("dist/index.html", "x");
        assert_eq!(key(folder.path()).unwrap(), first);
        write("src/main.ts", "two");
        let second = key(folder.path()).unwrap();
        assert_ne!(second, first);
        fs::rename(folder.path().join("src/main.ts"), folder.path().join("src/other.ts")).unwrap();
        assert_ne!(key(folder.path()).unwrap(), second, "a name counts too");
    }
}
