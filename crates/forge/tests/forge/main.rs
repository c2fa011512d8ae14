//! git for real, on repositories in temporary folders; and the adapter against what no honest forge does.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test they serve")]

mod canned;
mod fixture;
mod history;
mod mirror;
mod process;
mod rebase;
mod transfer;
mod transport;
