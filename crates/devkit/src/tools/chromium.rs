//! The browser of the console's tests: the distribution's own package, because browsers are too large to pin.

use std::{path::PathBuf, process::Command};

use super::{ToolError, found, install};
use crate::console::Step;

const TITLE: &str = "Chromium";
const COMMAND: &str = "sudo apt-get install chromium";

/// Finds Chromium: what `CODEX_K8S_CHROMIUM` names, or one on the PATH. Root gets it installed, others are told how.
///
/// # Errors
/// When there is none and it can't be installed.
pub fn chromium() -> Result<PathBuf, ToolError> {
    if let Some(found) = look()? {
        return Ok(found);
    }
    let missing = ToolError::Prerequisite { what: "Chromium, in which the console is tested,", command: COMMAND };
    if !nix::unistd::geteuid().is_root() {
        return Err(missing);
    }
    let step = Step::announce("install", TITLE);
    let apt = |arguments: &[&str]| {
        install::run(TITLE, Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    let packages = ["install", "--yes", "--no-install-recommends", "chromium"];
    // The list of packages may be old or absent on a fresh machine.
    apt(&packages).or_else(|_| apt(&["update"]).and_then(|()| apt(&packages)))?;
    step.done(TITLE);
    look()?.ok_or(missing)
}

fn look() -> Result<Option<PathBuf>, ToolError> {
    for name in ["chromium", "chromium-browser", "google-chrome"] {
        if let Some(found) = found::program("CODEX_K8S_CHROMIUM", name, "Chrom")? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
