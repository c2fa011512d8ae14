//! Services on whatever ports are free, for as long as tests or benchmarks run.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    time::Duration,
};

use domain::ids::EngineNamespace;

use super::{Durability, Postgres, ServiceError, Temporal, await_ready};
use crate::processes::Running;

const READY_LIMIT: Duration = Duration::from_secs(60);

/// How often it is started: a port that was free may be taken before it is used, by one of Temporal's own among others.
const STARTS: u32 = 3;

/// Starts a Postgres whose files are in `folder`, made anew or kept from before, and waits until it is ready.
///
/// # Errors
/// When it does not come up.
pub(crate) async fn start_postgres(
    bin: &Path,
    folder: &Path,
    durability: Durability,
) -> Result<(Postgres, Running), ServiceError> {
    let postgres = Postgres::prepare(bin, &folder.join("postgres"), free_port()?, durability).await?;
    let program = postgres.program(folder.join("postgres.log"), &folder.to_string_lossy());
    let mut process = program.spawn()?;
    await_ready(&program, &mut process, &postgres.readiness(), READY_LIMIT).await?;
    Ok((postgres, process))
}

/// Starts a Temporal that keeps its state in memory and its log in `folder`, and waits until it is ready.
///
/// # Errors
/// When it does not come up.
pub(crate) async fn start_temporal(command: &Path, folder: &Path) -> Result<(Temporal, Running), ServiceError> {
    for _ in 1..STARTS {
        match start_temporal_once(command, folder).await {
            Err(ServiceError::Died { tail, .. }) if tail.contains("address already in use") => {}
            other => return other,
        }
    }
    start_temporal_once(command, folder).await
}

async fn start_temporal_once(command: &Path, folder: &Path) -> Result<(Temporal, Running), ServiceError> {
    let temporal = Temporal {
        command: command.to_owned(),
        database: None,
        folder: folder.to_owned(),
        port: free_port()?,
        http_port: free_port()?,
        ui_port: Some(free_port()?),
        namespace: EngineNamespace::default(),
    };
    let program = temporal.program(folder.join("temporal.log"), &folder.to_string_lossy());
    let mut process = program.spawn()?;
    await_ready(&program, &mut process, &temporal.readiness(), READY_LIMIT).await?;
    Ok((temporal, process))
}

/// A port nobody listens on now. That somebody takes it before it is used is rare.
fn free_port() -> Result<u16, ServiceError> {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(ServiceError::Port)
}
