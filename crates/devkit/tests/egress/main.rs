//! The way out of a Job, through the real squid with the configuration that is deployed, its two helpers and a real gateway.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper of a test fails by panicking, like the test itself"
)]

mod lists;
mod proxy;
mod runs;
mod world;

/// Says, past the test runner's capture, that a test did nothing and why.
fn skipped(test: &str, why: &str) {
    use std::io::Write as _;
    // Nobody to tell is no reason to fail.
    let _ = writeln!(std::io::stderr(), "skipped {test}: {why}");
}
