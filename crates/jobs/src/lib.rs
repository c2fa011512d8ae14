//! Starts, finds, watches and ends Jobs.

mod launcher;

pub use launcher::{FoundJob, JobEnded, JobEvent, JobLauncher, JobOrder, JobRef, LaunchError};
