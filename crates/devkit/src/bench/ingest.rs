//! Webhooks into the gateway, against the same transactions straight on the database.

use std::{net::SocketAddr, process::Stdio, time::Duration};

use anyhow::Context;
use gateway::hook_secrets::GatewayKey;
use store::benching::{self, BenchServer};
use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};

use super::{
    load::{self, Measured},
    payloads::{Payloads, SECRET},
    report::{Report, Target, ms},
};
use crate::harness::{PATIENCE, until};

/// Runs that are stored already.
const STORED: [u32; 3] = [0, 10_000, 1_000_000];

/// Connections at a time.
const CONNECTIONS: [u32; 3] = [1, 16, 64];

/// Both sides take turns, so that neither has the better time of the machine.
const TURNS: u32 = 3;
const TURN: Duration = Duration::from_secs(2);
const WARM_UP: Duration = Duration::from_millis(500);

pub(super) async fn run(report: &mut Report) -> anyhow::Result<()> {
    report.note(
        "ingest: 1 in 20 webhooks starts a run; the engine is away, so that only storing is measured; the baseline is the same \
         transaction by the same driver, without HTTP, signature, JSON and dispatch",
    );
    let server = BenchServer::at(&super::from_environment("CODEX_K8S_TEST_POSTGRES_URL")?)?;
    let mut empty = Vec::new();
    for stored in STORED {
        if stored >= 1_000_000 {
            report.note("a database with a million runs is made once, which takes minutes; it is kept and used again");
        }
        let url = server.with_runs(stored).await?;
        let gateway = GatewayProcess::start(&url).await?;
        for (place, connections) in CONNECTIONS.into_iter().enumerate() {
            let (ours, plain) = measure(&gateway, &url, connections).await?;
            let what = format!("ingest, {stored} runs stored, {connections} connections");
            let (rate, plain_rate) = (ours.throughput(), plain.throughput());
            report.ratio(format!("{what}: throughput"), rate, plain_rate, "1/s", Target::AtLeast(0.8));
            let (slow, plain_slow) = (ms(ours.quantile(0.99)), ms(plain.quantile(0.99)));
            report.ratio(format!("{what}: p99"), slow, plain_slow, "ms", Target::AtMost(2.0));
            report.value(format!("{what}: p50"), ms(ours.quantile(0.5)), "ms", Target::None);
            match empty.get(place) {
                None => empty.push(rate),
                Some(at_first) => {
                    let name = format!("{what}: times slower than with empty tables");
                    report.value(name, at_first / rate, "times", Target::AtMost(1.2));
                }
            }
        }
        if let Some(bytes) = gateway.memory() {
            report.value(
                format!("ingest, {stored} runs stored: memory of the gateway"),
                bytes,
                "MB",
                Target::AtMost(60.0),
            );
        }
        gateway.stop().await?;
    }
    Ok(())
}

async fn measure(gateway: &GatewayProcess, url: &str, connections: u32) -> anyhow::Result<(Measured, Measured)> {
    let store = benching::plain_connections(url, connections).await?;
    let (mut ours, mut plain) = (Measured::default(), Measured::default());
    load::transact(&store, Payloads::for_connections(connections)?, WARM_UP).await?;
    load::send(gateway.address, Payloads::for_connections(connections)?, WARM_UP).await?;
    for _ in 0..TURNS {
        plain.add(load::transact(&store, Payloads::for_connections(connections)?, TURN).await?);
        ours.add(load::send(gateway.address, Payloads::for_connections(connections)?, TURN).await?);
    }
    store.pool().close().await;
    Ok((ours, plain))
}

/// The gateway as a process of its own.
pub(super) struct GatewayProcess {
    pub(super) address: SocketAddr,
    child: Child,
    _folder: tempfile::TempDir,
}

impl GatewayProcess {
    pub(super) async fn start(database_url: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let key = folder.path().join("gateway.key");
        crate::private_file::write(&key, GatewayKey::generate().to_hex().as_bytes())?;
        let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let log = std::fs::File::create(folder.path().join("gateway.log"))?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["role", "gateway"])
            .env_clear()
            .env("CODEX_K8S_INSTANCE", "bench")
            .env("DATABASE_URL", database_url)
            // Nobody listens there.
            .env("TEMPORAL_ADDRESS", "127.0.0.1:1")
            .env("GATEWAY_BIND", address.to_string())
            .env("WEBHOOK_SECRET", SECRET)
            .env("GATEWAY_KEY_FILE", &key)
            .env("BLOB_DIR", folder.path().join("blobs"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        let mut child = command.spawn().context("start the gateway")?;
        let up = until(PATIENCE, async || {
            anyhow::ensure!(child.try_wait()?.is_none(), "the gateway ended");
            Ok(TcpStream::connect(address).await.is_ok().then_some(()))
        });
        up.await?.context("the gateway does not come up")?;
        Ok(Self { address, child, _folder: folder })
    }

    pub(super) fn memory(&self) -> Option<f64> {
        super::megabytes(self.child.id()?)
    }

    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}
