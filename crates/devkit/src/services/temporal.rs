//! The real Temporal server.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use domain::ids::EngineNamespace;
use nix::sys::signal::Signal;

use super::Readiness;
use crate::processes::Program;

/// Where the UI serves itself.
const UI_PATH: &str = "/ops/temporal";

/// One Temporal server: its program, its file and its ports.
#[derive(Debug, Clone)]
pub struct Temporal {
    /// The `temporal` command.
    pub command: PathBuf,
    /// Where it keeps its state; `None` keeps it in memory.
    pub database: Option<PathBuf>,
    /// The folder it runs in.
    pub folder: PathBuf,
    /// The port of its API.
    pub port: u16,
    /// The port of its API over HTTP.
    pub http_port: u16,
    /// The port of its web UI; `None` leaves the UI out.
    pub ui_port: Option<u16>,
    /// A namespace that it has beside `default`, which it always has.
    pub namespace: EngineNamespace,
}

impl Temporal {
    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Where its web UI is, for the gateway; `None` where it has none.
    pub fn ui_address(&self) -> Option<SocketAddr> {
        self.ui_port.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    /// The server program.
    pub fn program(&self, log: PathBuf, marker: &str) -> Program {
        let mut arguments: Vec<String> = vec![
            "server".into(),
            "start-dev".into(),
            "--ip=127.0.0.1".into(),
            format!("--port={}", self.port),
            format!("--http-port={}", self.http_port),
            "--log-level=warn".into(),
            "--log-format=json".into(),
            // The development server holds every workflow task back by 50 ms otherwise.
            "--dynamic-config-value=history.transferProcessorMaxPollRPS=2000".into(),
            // Activities go to the worker with the answer to its workflow task, instead of through a queue.
            "--dynamic-config-value=system.enableActivityEagerExecution=true".into(),
        ];
        if self.namespace != EngineNamespace::default() {
            arguments.push(format!("--namespace={}", self.namespace));
        }
        match self.ui_port {
            Some(port) => {
                arguments.push(format!("--ui-port={port}"));
                arguments.push("--ui-disable-news-fetch".into());
                // Where the gateway has it: its pages name their files by this path.
                arguments.push(format!("--ui-public-path={UI_PATH}"));
            }
            None => arguments.push("--headless".into()),
        }
        let mut arguments: Vec<_> = arguments.into_iter().map(Into::into).collect();
        if let Some(database) = &self.database {
            arguments.push("--db-filename".into());
            arguments.push(database.clone().into_os_string());
            for pragma in ["journal_mode=WAL", "synchronous=1"] {
                arguments.push("--sqlite-pragma".into());
                arguments.push(pragma.into());
            }
        }
        Program {
            name: "temporal".into(),
            file: Some(self.command.clone()),
            arguments,
            environment: Vec::new(),
            log,
            folder: self.folder.clone(),
            owner: None,
            stop_signal: Signal::SIGTERM,
            marker: marker.to_owned(),
        }
    }

    /// How it shows that it is ready: it knows its namespace.
    pub fn readiness(&self) -> Readiness {
        let port = self.http_port;
        Readiness::Http(format!("http://127.0.0.1:{port}/api/v1/namespaces/default"))
    }
}
