//! Starts, finds, watches and ends Jobs.

mod foreign;
mod launcher;

pub use foreign::foreign_policies;
pub use launcher::{FoundJob, JobEnded, JobEvent, JobLauncher, JobOrder, JobRef, LaunchError};
