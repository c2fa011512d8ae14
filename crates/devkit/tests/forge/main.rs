//! The GitHub adapter and git over HTTP, against the stand-in for GitHub.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test they serve")]

mod apps;
mod described;
mod git;
mod hooks;
mod issues;
mod pulls;
mod repositories;
mod trouble;
mod world;
