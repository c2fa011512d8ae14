//! What every role does first and last.

use std::{env, io, str::FromStr};

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Why a role ended.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// A variable is missing or cannot be understood.
    #[error("{name} is {problem}; `cargo dev up` sets it")]
    Variable {
        /// Which one.
        name: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The scripted model failed.
    #[error("the scripted model cannot run")]
    Model(#[from] crate::model::ModelError),
    /// The role itself failed.
    #[error("{0:#}")]
    Failed(anyhow::Error),
    /// Signals cannot be received.
    #[error("signals cannot be received")]
    Signals(#[source] io::Error),
}

/// A variable of the environment.
pub(super) fn variable<T: FromStr>(name: &'static str) -> Result<T, RoleError> {
    let text = env::var(name).map_err(|_| RoleError::Variable { name, problem: "not set" })?;
    text.parse().map_err(|_| RoleError::Variable { name, problem: "not understood" })
}

/// Lines for people; the supervisor puts them into the role's file.
pub(super) fn log_to_stdout() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).init();
}

/// Returns when the supervisor asks for the end.
pub(super) async fn asked_to_stop() -> Result<(), RoleError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(RoleError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RoleError::Signals)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
