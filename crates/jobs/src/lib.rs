//! Starts, finds, watches and ends Jobs.

mod foreign;
pub mod kubernetes;
mod launcher;

pub use foreign::foreign_policies;
pub use launcher::{FoundJob, JobEvent, JobLauncher, JobOrder, JobRef, LAST_OUTPUT, LaunchError};
