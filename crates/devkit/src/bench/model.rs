//! Model calls through the model gateway, against the same calls straight to the scripted model.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use chrono::Utc;
use domain::{
    ids::Attempt,
    model::{Limit, Limits, ModelPolicy},
};
use futures::StreamExt as _;
use reqwest::Client;
use store::{Store, benching::BenchServer, model_calls};
use tokio::task::JoinSet;

use super::report::{Report, Target, ms, quantile};
use crate::{
    harness::{LoneRun, ModelGatewayProcess},
    model::{Options, ScriptedModel},
};

const KEY: &str = "bench-model-key";

/// Calls one after another in a turn, and how often both sides take turns.
const CALLS: usize = 150;
const TURNS: usize = 4;

/// Streams at once, and for how long each side streams in a turn.
const STREAMS: usize = 64;
const SPAN: Duration = Duration::from_secs(10);

/// What a first request of Codex has, in bytes.
const REQUEST_BYTES: usize = 26_000;

/// Short answers, answers that are told at a model's pace (100 pieces a second), and one that is long: 200 MB.
const SCENARIOS: [(&str, &str); 3] = [
    ("short", "about = 'short'\n[[steps]]\ndo = 'answer'\ntext = 'Done.'\n"),
    ("paced", "about = 'paced'\n[[steps]]\ndo = 'stream'\npieces = 200\npiece_bytes = 20\npause_ms = 10\n"),
    ("long", "about = 'long'\n[[steps]]\ndo = 'stream'\npieces = 100000\npiece_bytes = 2000\n"),
];

pub(super) async fn run(report: &mut Report) -> anyhow::Result<()> {
    report.note(
        "model: the run has a budget, so that each call reserves and books; requests have 26 kB, as Codex's first one; client and \
         scripted model share the machine with the gateway",
    );
    let folder = tempfile::tempdir()?;
    for (name, text) in SCENARIOS {
        std::fs::write(folder.path().join(format!("{name}.toml")), text)?;
    }
    let url = BenchServer::at(&super::from_environment("CODEX_K8S_TEST_POSTGRES_URL")?)?.with_runs(0).await?;
    let store = Store::connect(&url, 4).await?;
    let run = LoneRun::make(&store, Utc::now()).await?;
    let limits = Limits { run: Limit { tokens: Some(1 << 40), ..Limit::default() }, ..Limits::default() };
    let policy = ModelPolicy { models: vec!["m".to_owned()], limits, record_bodies: false, agent_secs: 3_600 };
    model_calls::set_policy(&mut *store.acquire().await?, run.run, Attempt::FIRST, &policy).await?;
    let model = ScriptedModel::start(Options {
        bind: ([127, 0, 0, 1], 0).into(),
        api_key: KEY.to_owned(),
        scenario_dir: Some(folder.path().to_owned()),
    })
    .await?;
    let program = std::env::current_exe()?;
    let gateway = ModelGatewayProcess::start(&program, folder.path(), &url, &model.url(), KEY).await?;
    let direct = Side::new(&model.url(), KEY)?;
    let through = Side::new(&format!("http://{}", gateway.address), &run.model_token)?;
    latency(report, &direct, &through).await?;
    throughput(report, &direct, &through).await?;
    memory(report, &gateway, &through).await?;
    gateway.kill().await?;
    model.shutdown().await;
    store.pool().close().await;
    Ok(())
}

async fn latency(report: &mut Report, direct: &Side, through: &Side) -> anyhow::Result<()> {
    direct.call("short").await?;
    through.call("short").await?;
    let (mut plain, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        for (side, latencies) in [(direct, &mut plain), (through, &mut ours)] {
            for _ in 0..CALLS {
                latencies.push(side.call("short").await?.took);
            }
        }
    }
    plain.sort_unstable();
    ours.sort_unstable();
    for (share, name, target) in [(0.5, "median", Target::AtMost(5.0)), (0.99, "p99", Target::None)] {
        let (slow, fast) = (ms(quantile(&ours, share)), ms(quantile(&plain, share)));
        report.value(format!("model, short answers: {name} of a direct call"), fast, "ms", Target::None);
        report.value(format!("model, short answers: what the gateway adds, {name}"), slow - fast, "ms", target);
    }
    Ok(())
}

async fn throughput(report: &mut Report, direct: &Side, through: &Side) -> anyhow::Result<()> {
    let (mut plain, mut ours) = (Streamed::default(), Streamed::default());
    for _ in 0..2 {
        plain.add(&direct.stream_for(SPAN).await?);
        ours.add(&through.stream_for(SPAN).await?);
    }
    let name = format!("model, {STREAMS} streams at once");
    report.ratio(format!("{name}: throughput"), ours.rate(), plain.rate(), "MB/s", Target::AtLeast(0.97));
    let streams = (ours.streams.to_string(), plain.streams.to_string());
    report.note(format!("{name}: {} whole streams through the gateway, {} direct", streams.0, streams.1));
    Ok(())
}

async fn memory(report: &mut Report, gateway: &ModelGatewayProcess, through: &Side) -> anyhow::Result<()> {
    let pid = gateway.pid().context("the model gateway ended")?;
    let resident = || super::megabytes(pid).context("its memory can't be read");
    let before = resident()?;
    let mut most = before;
    let side = through.clone();
    let mut stream = tokio::spawn(async move { side.call("long").await });
    let passed = loop {
        tokio::select! {
            passed = &mut stream => break passed??,
            () = tokio::time::sleep(Duration::from_millis(50)) => most = most.max(resident()?),
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "a few hundred megabytes")]
    let megabytes = passed.bytes as f64 / 1e6;
    report.value("model, one long stream: passed", megabytes, "MB", Target::None);
    report.value("model, one long stream: memory of the gateway before", before, "MB", Target::None);
    report.value("model, one long stream: what memory grew meanwhile", most - before, "MB", Target::AtMost(10.0));
    Ok(())
}

/// One way to the model.
#[derive(Clone)]
struct Side {
    client: Client,
    url: Arc<str>,
    token: Arc<str>,
}

/// A call that has ended.
struct Ended {
    took: Duration,
    bytes: u64,
}

/// Streams that went on for a while.
#[derive(Default)]
struct Streamed {
    bytes: u64,
    streams: u64,
    took: Duration,
}

impl Streamed {
    fn add(&mut self, other: &Self) {
        self.bytes += other.bytes;
        self.streams += other.streams;
        self.took += other.took;
    }

    fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a few hundred megabytes")]
        let bytes = self.bytes as f64;
        bytes / 1e6 / self.took.as_secs_f64()
    }
}

impl Side {
    fn new(base: &str, token: &str) -> anyhow::Result<Self> {
        let client = Client::builder().no_proxy().tcp_nodelay(true).build()?;
        Ok(Self { client, url: format!("{base}/v1/responses").into(), token: token.into() })
    }

    async fn call(&self, scenario: &str) -> anyhow::Result<Ended> {
        let filling = "x".repeat(REQUEST_BYTES);
        let body = serde_json::json!({ "model": "m", "stream": true, "input": [
            { "role": "user", "content": format!("[scenario:{scenario}]") }, { "role": "developer", "content": filling } ] });
        let body = serde_json::to_vec(&body)?;
        let began = Instant::now();
        let request = self.client.post(&*self.url).bearer_auth(&self.token).header("content-type", "application/json");
        let answer = request.body(body).send().await?.error_for_status()?;
        let (mut bytes, mut pieces) = (0, answer.bytes_stream());
        let mut last = Vec::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            bytes += piece.len() as u64;
            last = piece[piece.len().saturating_sub(512)..].to_vec();
        }
        ensure!(String::from_utf8_lossy(&last).contains("response.completed"), "a stream did not come to its end");
        Ok(Ended { took: began.elapsed(), bytes })
    }

    /// Streams without a pause, so many at once; those under way at the end are finished.
    async fn stream_for(&self, span: Duration) -> anyhow::Result<Streamed> {
        let began = Instant::now();
        let mut readers = JoinSet::new();
        for _ in 0..STREAMS {
            let side = self.clone();
            readers.spawn(async move {
                let (mut bytes, mut streams) = (0, 0);
                while began.elapsed() < span {
                    bytes += side.call("paced").await?.bytes;
                    streams += 1;
                }
                anyhow::Ok((bytes, streams))
            });
        }
        let mut sum = Streamed::default();
        while let Some(read) = readers.join_next().await {
            let (bytes, streams) = read??;
            sum.add(&Streamed { bytes, streams, took: Duration::ZERO });
        }
        sum.took = began.elapsed();
        Ok(sum)
    }
}
