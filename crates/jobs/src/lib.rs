//! Starts, finds, watches and ends Jobs.

mod foreign;
pub mod kubernetes;
mod launcher;
#[cfg(feature = "testing")]
pub mod scripted;

pub use launcher::{FoundJob, JobEvent, JobLauncher, JobOrder, JobRef, LAST_OUTPUT, LaunchError};
