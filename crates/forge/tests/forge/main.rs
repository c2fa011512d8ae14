//! git for real, on repositories in temporary folders; and the adapter against what no honest forge does.

mod canned;
mod fixture;
mod history;
mod mirror;
mod process;
mod rebase;
mod transfer;
mod transport;
