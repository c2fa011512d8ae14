//! `cargo dev up` and the commands around it: the whole platform on this machine.

mod addresses;
mod detach;
mod down;
mod error;
mod jobs_place;
mod keeper;
mod keys;
mod lock;
mod logs;
mod people;
mod plan;
mod relay;
mod state;
mod status;
mod supervisor;

pub use addresses::{DEFAULT_PORT_BASE, Ports};
pub use detach::detach;
pub use down::down;
pub use error::UpError;
pub use keys::Keys;
pub use logs::show_log;
pub use state::State;
pub use status::status;
pub use supervisor::{Options, up};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A part of the platform that is a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The database.
    Postgres,
    /// The engine and its web UI.
    Temporal,
    /// The stand-in for GitHub.
    Forge,
    /// The scripted model.
    Model,
    /// Webhooks and the runner endpoint.
    Gateway,
    /// Workflows and activities.
    Worker,
    /// The only holder of the model key.
    ModelGateway,
    /// The way out of Jobs in a cluster.
    EgressProxy,
}

impl Role {
    /// Its name, as on the command line and in the state file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Temporal => "temporal",
            Self::Forge => "forge",
            Self::Model => "model",
            Self::Gateway => "gateway",
            Self::Worker => "worker",
            Self::ModelGateway => "model-gateway",
            Self::EgressProxy => "egress-proxy",
        }
    }
}
