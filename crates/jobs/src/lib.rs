//! Starts, finds, watches and ends Jobs.

mod launcher;

pub use launcher::{JobLauncher, JobOrder, LaunchError};
