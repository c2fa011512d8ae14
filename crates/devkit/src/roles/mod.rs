//! The programs behind `dev role NAME`: each is one role of the local platform, told what it needs by its environment.
//!
//! Every role gets `CODEX_K8S_INSTANCE`, `LOG_FORMAT`, `GATEWAY_URL`, `MODEL_GATEWAY_URL`, `FORGE_URL` and
//! `TEMPORAL_ADDRESS`; what else it gets is said in its file.

mod egress;
mod forge;
mod gateway;
mod model;
mod model_gateway;
mod runner;
mod surroundings;
mod worker;

pub use surroundings::RoleError;

use clap::ValueEnum;

/// A role that this program can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OwnRole {
    /// A helper of the egress proxy, which starts it.
    EgressAcl,
    /// The stand-in for GitHub.
    Forge,
    /// The gateway.
    Gateway,
    /// The scripted model.
    Model,
    /// The model gateway.
    ModelGateway,
    /// The program inside a Job.
    Runner,
    /// The worker.
    Worker,
}

/// Is the role until asked to stop.
///
/// # Errors
/// When it cannot start, or fails for good.
pub async fn run(role: OwnRole, words: &[String]) -> Result<(), RoleError> {
    if role != OwnRole::EgressAcl {
        // What those helpers write to standard output is read by the proxy.
        surroundings::log_to_stdout();
    }
    match role {
        OwnRole::EgressAcl => egress::run(words).await,
        OwnRole::Forge => forge::run().await,
        OwnRole::Gateway => gateway::run().await,
        OwnRole::Model => model::run().await,
        OwnRole::ModelGateway => model_gateway::run().await,
        OwnRole::Runner => runner::run(words).await,
        OwnRole::Worker => worker::run().await,
    }
}
