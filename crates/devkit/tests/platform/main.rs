//! The platform as its users see it: a label becomes a pull request, and whatever else can happen on the way.

mod agents;
mod cancel;
mod crash;
mod happy_path;
mod lost;
mod ordering;
mod outcomes;
mod queue;
mod refusals;
mod replay;
mod retry;
mod revise;
mod settings;

use std::path::PathBuf;

use devkit::harness::{Hosting, Options, Platform};

/// A platform whose project has that many slots.
async fn platform_with(slots: u32) -> anyhow::Result<Platform> {
    start(slots, Hosting::InProcess).await
}

async fn start(slots: u32, hosting: Hosting) -> anyhow::Result<Platform> {
    Platform::start(Options { program: PathBuf::from(env!("CARGO_BIN_EXE_dev")), slots, hosting }).await
}

/// Says, past the test runner's capture, that a test did nothing and why.
fn skipped(test: &str, why: &str) {
    use std::io::Write as _;
    // Nobody to tell is no reason to fail.
    let _ = writeln!(std::io::stderr(), "skipped {test}: {why}");
}
