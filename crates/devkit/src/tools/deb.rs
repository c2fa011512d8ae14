//! Programs from the distribution's packages: unpacked into the cache, not installed.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use super::{ToolError, install, prerequisites};
use crate::file_error::FileError;

const TITLE: &str = "mmdebstrap (from the distribution's archive)";

/// Finds or unpacks the program that makes root file systems of packages. Returns the folder with it and its helpers.
///
/// # Errors
/// When this is no Debian or Ubuntu, or the archive can't be reached.
pub fn mmdebstrap(cache: &Path) -> Result<PathBuf, ToolError> {
    let search = std::env::var_os("PATH").unwrap_or_default();
    if let Some(folder) = std::env::split_paths(&search).find(|folder| folder.join("mmdebstrap").is_file()) {
        return Ok(folder);
    }
    let root = install::once(cache, TITLE, "mmdebstrap", |fresh| {
        prerequisites::require_deb()?;
        let apt = |word: &str| {
            let mut command = Command::new("apt-get");
            command.args([word, "--quiet"]).current_dir(fresh);
            command
        };
        if install::run(TITLE, apt("download").arg("mmdebstrap")).is_err() {
            // The lists of packages may be missing or old.
            install::run(TITLE, &mut apt("update"))?;
            install::run(TITLE, apt("download").arg("mmdebstrap"))?;
        }
        let package = std::fs::read_dir(fresh)
            .map_err(FileError::of("read", fresh))?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|kind| kind == "deb"));
        let package = package.ok_or_else(|| ToolError::Incomplete { title: TITLE, path: fresh.to_owned() })?;
        install::run(TITLE, Command::new("dpkg").arg("--extract").arg(package).arg(fresh.join("root")))
    })?;
    let folder = root.join("root/usr/bin");
    install::must_exist(TITLE, &folder.join("mmdebstrap"))?;
    Ok(folder)
}

/// The search path with `folder` in front.
pub fn search_path_with(folder: &Path) -> OsString {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&search));
    std::env::join_paths(all).unwrap_or(search)
}
