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

/// All take turns, so that none has the better time of the machine.
const TURNS: u32 = 4;
const TURN: Duration = Duration::from_secs(2);
const WARM_UP: Duration = Duration::from_millis(500);

pub(super) async fn run(report: &mut Report) -> anyhow::Result<()> {
    report.note(
        "ingest: 1 in 20 webhooks starts a run; the engine is away, so that only storing is measured; the baseline is the same \
         transaction by the same driver, without HTTP, signature, JSON and dispatch",
    );
    let server = BenchServer::at(&super::from_environment("CODEX_K8S_TEST_POSTGRES_URL")?)?;
    let mut sides = Vec::new();
    for stored in STORED {
        if stored >= 1_000_000 {
            report.note("a database with a million runs is made once, which takes minutes; it is kept and used again");
        }
        let url = server.with_runs(stored).await?;
        sides.push(Side { stored, gateway: GatewayProcess::start(&url).await?, url });
    }
    for connections in CONNECTIONS {
        let measured = measure(&sides, connections).await?;
        tell(report, connections, &measured);
    }
    for side in sides {
        if let Some(bytes) = side.gateway.memory() {
            let name = format!("ingest, {} runs stored: memory of the gateway", side.stored);
            report.value(name, bytes, "MB", Target::AtMost(60.0));
        }
        side.gateway.stop().await?;
    }
    Ok(())
}

/// A gateway over a database with so many runs.
struct Side {
    stored: u32,
    url: String,
    gateway: GatewayProcess,
}

/// What one side did, and its baseline.
struct Pair {
    stored: u32,
    ours: Measured,
    plain: Measured,
}

/// All sides take turns: minutes apart, the machine is another.
async fn measure(sides: &[Side], connections: u32) -> anyhow::Result<Vec<Pair>> {
    let payloads = || Payloads::for_connections(connections);
    let mut stores = Vec::new();
    let mut pairs = Vec::new();
    for side in sides {
        let store = benching::plain_connections(&side.url, connections).await?;
        load::transact(&store, payloads()?, WARM_UP).await?;
        load::send(side.gateway.address, payloads()?, WARM_UP).await?;
        stores.push(store);
        pairs.push(Pair { stored: side.stored, ours: Measured::default(), plain: Measured::default() });
    }
    for _ in 0..TURNS {
        for ((side, store), pair) in sides.iter().zip(&stores).zip(&mut pairs) {
            pair.plain.add(load::transact(store, payloads()?, TURN).await?);
            pair.ours.add(load::send(side.gateway.address, payloads()?, TURN).await?);
        }
    }
    for store in stores {
        store.pool().close().await;
    }
    Ok(pairs)
}

fn tell(report: &mut Report, connections: u32, measured: &[Pair]) {
    let empty = measured.first().map(|pair| (pair.ours.throughput(), pair.plain.throughput()));
    for Pair { stored, ours, plain } in measured {
        let what = format!("ingest, {stored} runs stored, {connections} connections");
        let (rate, plain_rate) = (ours.throughput(), plain.throughput());
        report.ratio(format!("{what}: throughput"), rate, plain_rate, "1/s", Target::AtLeast(0.8));
        let (slow, plain_slow) = (ms(ours.quantile(0.99)), ms(plain.quantile(0.99)));
        report.ratio(format!("{what}: p99"), slow, plain_slow, "ms", Target::AtMost(2.0));
        report.value(format!("{what}: p50"), ms(ours.quantile(0.5)), "ms", Target::None);
        if let Some((at_first, plain_at_first)) = empty.filter(|_| *stored > 0) {
            let name = format!("{what}: times slower than with empty tables");
            report.value(name, at_first / rate, "times", Target::AtMost(1.2));
            let name = format!("{what}: times slower than with empty tables, the baseline");
            report.value(name, plain_at_first / plain_rate, "times", Target::None);
        }
    }
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
