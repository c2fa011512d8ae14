//! The programs behind `dev role NAME`: each is one role of the local platform, told what it needs by its environment.
//!
//! Every role gets `CODEX_K8S_INSTANCE`, `LOG_FORMAT`, `GATEWAY_URL`, `MODEL_GATEWAY_URL`, `FORGE_URL` and
//! `TEMPORAL_ADDRESS`; what else it gets is said in its file.

mod model;
mod surroundings;

pub use surroundings::RoleError;

use clap::ValueEnum;

/// A role that this program can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OwnRole {
    /// The scripted model.
    Model,
}

/// Is the role until asked to stop.
///
/// # Errors
/// When it cannot start, or fails for good.
pub async fn run(role: OwnRole) -> Result<(), RoleError> {
    surroundings::log_to_stdout();
    match role {
        OwnRole::Model => model::run().await,
    }
}
