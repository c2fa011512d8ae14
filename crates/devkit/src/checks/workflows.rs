//! The files that tell GitHub what to run.

use std::{fs, path::PathBuf, process::Command};

use super::{CheckError, demand};
use crate::{file_error::FileError, layout::Layout, tools};

pub(super) fn workflows(layout: &Layout) -> Result<(), CheckError> {
    let files = workflow_files(layout)?;
    if files.is_empty() {
        return Ok(());
    }
    demand(
        layout,
        Command::new(tools::actionlint(&layout.cache)?).args(&files),
        "the lines above say what actionlint wants",
    )?;
    demand(
        layout,
        // The audits that ask GitHub itself belong to GitHub's own run.
        Command::new(tools::zizmor(&layout.cache)?).args(["--offline", "--quiet", "--persona=pedantic"]).args(&files),
        "the lines above say what zizmor wants",
    )
}

fn workflow_files(layout: &Layout) -> Result<Vec<PathBuf>, CheckError> {
    let folder = layout.tree.join(".github/workflows");
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder).map_err(FileError::of("read", &folder))? {
        let path = entry.map_err(FileError::of("read", &folder))?.path();
        if path.extension().is_some_and(|kind| kind == "yml" || kind == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
