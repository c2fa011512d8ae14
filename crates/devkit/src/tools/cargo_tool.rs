//! Programs that are built from crates.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{ToolError, found, install};
use crate::file_error::FileError;

const CARGO_DENY_VERSION: &str = "0.20.2";
const TITLE: &str = "cargo-deny 0.20.2 (built from source, takes minutes)";

/// Finds or builds cargo-deny.
///
/// The crate's own lock file, whose hashes cargo checks, pins everything that goes into it.
///
/// # Errors
/// When it cannot be built.
pub fn cargo_deny(cache: &Path) -> Result<PathBuf, ToolError> {
    let marker = format!("cargo-deny {CARGO_DENY_VERSION}");
    if let Some(found) = found::program("CODEX_K8S_CARGO_DENY", "cargo-deny", &marker)? {
        return Ok(found);
    }
    let folder = format!("cargo-deny-{CARGO_DENY_VERSION}");
    let root = install::once(cache, TITLE, &folder, |fresh| {
        let target = fresh.join("target");
        install::run(
            TITLE,
            Command::new("cargo")
                .args(["install", "cargo-deny", "--locked", "--quiet"])
                .args(["--version", CARGO_DENY_VERSION])
                .arg("--root")
                .arg(fresh)
                .env("CARGO_TARGET_DIR", &target),
        )?;
        Ok(std::fs::remove_dir_all(&target).map_err(FileError::of("remove", &target))?)
    })?;
    let program = root.join("bin/cargo-deny");
    install::must_exist(TITLE, &program)?;
    Ok(program)
}
