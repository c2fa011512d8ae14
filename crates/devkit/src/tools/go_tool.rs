//! Programs that are built from Go modules.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{ToolError, found, install, prerequisites};

const TITLE: &str = "actionlint 1.7.12 (built from source)";
const VERSION: &str = "1.7.12";
const PACKAGE: &str = "github.com/rhysd/actionlint/cmd/actionlint";
/// The module files pin every module that goes into it by hash.
const MODULE: &str = include_str!("../../assets/go/actionlint/go.mod");
const SUMS: &str = include_str!("../../assets/go/actionlint/go.sum");

/// Finds or builds actionlint.
///
/// # Errors
/// When Go is missing or it cannot be built.
pub fn actionlint(cache: &Path) -> Result<PathBuf, ToolError> {
    if let Some(found) = found::program("CODEX_K8S_ACTIONLINT", "actionlint", VERSION)? {
        return Ok(found);
    }
    let folder = install::pinned_folder("actionlint-1.7.12", SUMS);
    let root = install::once(cache, TITLE, &folder, |fresh| {
        prerequisites::require_go()?;
        for (name, text) in [("go.mod", MODULE), ("go.sum", SUMS)] {
            let path = fresh.join(name);
            fs::write(&path, text).map_err(ToolError::cache("write", &path))?;
        }
        install::run(
            TITLE,
            Command::new("go")
                .args(["build", "-mod=readonly", "-trimpath", "-o", "bin/actionlint", PACKAGE])
                .current_dir(fresh),
        )
    })?;
    let program = root.join("bin/actionlint");
    install::must_exist(TITLE, &program)?;
    Ok(program)
}
