//! Why the platform is not up.

use std::{io, path::PathBuf};

use super::Role;
use crate::{
    egress_proxy::EgressProxyError, file_error::FileError, kube::KubeError, services::ServiceError,
    staff_console::StaffConsoleError, tools::ToolError,
};

/// Why a command around the local platform failed.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// A tool is missing.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// There is no cluster, or it does not work.
    #[error(transparent)]
    Kube(#[from] KubeError),
    /// The way out of Jobs could not be set up.
    #[error(transparent)]
    EgressProxy(#[from] EgressProxyError),
    /// The console could not be built.
    #[error(transparent)]
    Console(#[from] StaffConsoleError),
    /// A role did not come up.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The schema could not be applied.
    #[error("the schema could not be applied; `cargo dev up --fresh` begins again with empty data")]
    Schema(#[from] store::StoreError),
    /// The demo repository could not be connected.
    #[error("the demo repository could not be connected")]
    Connect(#[source] anyhow::Error),
    /// It runs already.
    #[error(
        "the platform is up already, since {since} (process {pid}): look with `cargo dev status`, stop it with `cargo dev down`"
    )]
    AlreadyUp {
        /// The supervisor.
        pid: i32,
        /// When it started.
        since: String,
    },
    /// Somebody else has a port.
    #[error(
        "port {port}, meant for {role}, is taken by another program: end that one, or choose other ports with `cargo dev up --port-base N`"
    )]
    PortTaken {
        /// The port.
        port: u16,
        /// What it was meant for.
        role: &'static str,
    },
    /// The ports do not fit.
    #[error("--port-base {base} leaves no room for {count} ports below 65536")]
    PortBase {
        /// What was asked for.
        base: u16,
        /// How many are needed.
        count: u16,
    },
    /// There is not enough room.
    #[error("the disk of {path} is full: {free_mib} MiB are free, {needed_mib} MiB are needed", path = path.display())]
    DiskFull {
        /// The folder.
        path: PathBuf,
        /// What is free.
        free_mib: u64,
        /// What is needed.
        needed_mib: u64,
    },
    /// A file could not be used.
    #[error(transparent)]
    Files(#[from] FileError),
    /// The system refused something.
    #[error("cannot {action}")]
    System {
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing runs.
    #[error("the platform is not up: start it with `cargo dev up`")]
    NotUp,
    /// A role has written nothing yet.
    #[error("{role} has no log: it has not run here yet", role = role.name())]
    NoLog {
        /// Which one.
        role: Role,
    },
    /// The background process gave up.
    #[error("the platform did not come up; the lines above say why")]
    DetachedFailed,
}

impl UpError {
    pub(super) fn system(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { action, source }
    }
}
