//! `cargo dev guide`: takes the pictures of the user guide, from the running platform.

use std::io;

use crate::{
    console::say,
    layout::Layout,
    staff_console::{StaffConsoleError, Workshop},
    tools::{self, ToolError},
    up::{State, UpError},
};

/// Where the guide keeps its pictures.
const PICTURES: &str = "docs/guide/pictures";

/// Why there are no pictures.
#[derive(Debug, thiserror::Error)]
pub enum GuideError {
    /// The platform is not there.
    #[error(transparent)]
    Up(#[from] UpError),
    /// There is no browser.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The console's source or packages can't be had.
    #[error(transparent)]
    Console(#[from] StaffConsoleError),
    /// Playwright could not be run.
    #[error("Playwright could not be run")]
    Run(#[source] io::Error),
}

/// Takes the pictures. Returns whether all were taken.
///
/// # Errors
/// When the platform is not up, or something that it needs is missing.
pub fn guide(layout: &Layout) -> Result<bool, GuideError> {
    if State::read(&layout.state_file()).is_none_or(|state| !state.ready) {
        return Err(UpError::NotUp.into());
    }
    let chromium = tools::chromium()?;
    let workshop = Workshop::open(layout)?;
    let status = workshop
        .command("playwright")
        .args(["test", "--config", "browser/guide.config.ts"])
        .env("CODEX_K8S_CHROMIUM", chromium)
        .env("CODEX_K8S_STATE", layout.state_file())
        .env("CODEX_K8S_PICTURES", layout.tree.join(PICTURES))
        .status()
        .map_err(GuideError::Run)?;
    if status.success() {
        say(format_args!("The pictures are in {PICTURES}."));
    }
    Ok(status.success())
}
