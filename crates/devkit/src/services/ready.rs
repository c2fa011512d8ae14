//! When a service can be used.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::{net::TcpStream, process::Command, time};

use super::ServiceError;
use crate::processes::{Program, Running};

/// How a program shows that it can be used.
#[derive(Debug, Clone)]
pub enum Readiness {
    /// It answers this address with success.
    Http(String),
    /// It accepts connections.
    Port(SocketAddr),
    /// `pg_isready` says so.
    Postgres {
        /// That program.
        pg_isready: PathBuf,
        /// The port to ask about.
        port: u16,
    },
}

const PAUSE: Duration = Duration::from_millis(20);
const TAIL_LINES: usize = 12;

/// Waits until `running` can be used.
///
/// # Errors
/// When it ends first or takes longer than `limit`; both with the end of its log.
pub async fn await_ready(
    program: &Program,
    running: &mut Running,
    readiness: &Readiness,
    limit: Duration,
) -> Result<(), ServiceError> {
    let began = Instant::now();
    loop {
        if let Some(status) = running.ended() {
            return Err(ServiceError::Died {
                name: program.name.clone(),
                status: status.to_string(),
                tail: tail(&program.log),
            });
        }
        if readiness.holds().await {
            return Ok(());
        }
        if began.elapsed() > limit {
            return Err(ServiceError::Slow { name: program.name.clone(), limit, tail: tail(&program.log) });
        }
        time::sleep(PAUSE).await;
    }
}

impl Readiness {
    async fn holds(&self) -> bool {
        match self {
            Self::Http(url) => reqwest::get(url).await.is_ok_and(|answer| answer.status().is_success()),
            Self::Port(address) => TcpStream::connect(address).await.is_ok(),
            Self::Postgres { pg_isready, port } => Command::new(pg_isready)
                .args(["--host=127.0.0.1", "--timeout=1", "--quiet"])
                .arg(format!("--port={port}"))
                .stdin(Stdio::null())
                .status()
                .await
                .is_ok_and(|status| status.success()),
        }
    }
}

fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    lines.get(from..).unwrap_or_default().iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
