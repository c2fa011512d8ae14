//! git for real, on repositories in temporary folders.

mod fixture;
mod history;
mod mirror;
mod process;
mod rebase;
mod transfer;
