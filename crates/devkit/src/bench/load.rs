//! As many connections as are wanted, each sending one thing after another for a while.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use bytes::BytesMut;
use chrono::Utc;
use domain::{ids::Instance, triggers::DeliverySource};
use ingest::{Arrival, record};
use store::Store;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use super::{
    payloads::{Payload, Payloads},
    report::quantile,
};

/// What was measured.
#[derive(Default)]
pub(super) struct Measured {
    latencies: Vec<Duration>,
    took: Duration,
}

impl Measured {
    /// Adds another measurement of the same.
    pub(super) fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.latencies.sort_unstable();
        self.took += other.took;
    }

    /// How many a second.
    #[expect(clippy::cast_precision_loss, reason = "a count of seconds' work")]
    pub(super) fn throughput(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64().max(0.001)
    }

    pub(super) fn quantile(&self, share: f64) -> Duration {
        quantile(&self.latencies, share)
    }
}

/// Sends webhooks to a gateway for a while. Every one of them must be accepted.
pub(super) async fn send(gateway: SocketAddr, payloads: Vec<Payloads>, span: Duration) -> anyhow::Result<Measured> {
    let began = Instant::now();
    let mut senders = JoinSet::new();
    for mut payloads in payloads {
        senders.spawn(async move {
            let mut connection = Connection::open(gateway).await?;
            let mut latencies = Vec::new();
            while began.elapsed() < span {
                let request = payloads.with_next(|payload| request(gateway, payload))?;
                let sent = Instant::now();
                connection.exchange(&request).await?;
                latencies.push(sent.elapsed());
            }
            anyhow::Ok(latencies)
        });
    }
    gather(senders, began).await
}

/// Runs the same transactions for a while, straight on the database.
pub(super) async fn transact(store: &Store, payloads: Vec<Payloads>, span: Duration) -> anyhow::Result<Measured> {
    let instance: Instance = "bench".parse()?;
    let began = Instant::now();
    let mut senders = JoinSet::new();
    for mut payloads in payloads {
        let (store, instance) = (store.clone(), instance.clone());
        senders.spawn(async move {
            let mut latencies = Vec::new();
            while began.elapsed() < span {
                let (event, body) = payloads.with_next(|payload| (payload.parsed.clone(), payload.body.clone()))?;
                let guid = uuid::Uuid::new_v4().to_string();
                let now = Utc::now();
                let arrival = Arrival {
                    hook_key: 1,
                    guid: &guid,
                    spoken_for: None,
                    event: &event,
                    body: &body,
                    received_at: now,
                    source: DeliverySource::Webhook,
                };
                let sent = Instant::now();
                record(&store, &instance, &arrival).await?;
                latencies.push(sent.elapsed());
            }
            anyhow::Ok(latencies)
        });
    }
    gather(senders, began).await
}

async fn gather(mut senders: JoinSet<anyhow::Result<Vec<Duration>>>, began: Instant) -> anyhow::Result<Measured> {
    let mut latencies = Vec::new();
    while let Some(sent) = senders.join_next().await {
        latencies.extend(sent??);
    }
    let took = began.elapsed();
    latencies.sort_unstable();
    Ok(Measured { latencies, took })
}

fn request(gateway: SocketAddr, payload: &Payload) -> Vec<u8> {
    let mut request = format!(
        "POST /webhooks/github HTTP/1.1\r\nhost: {gateway}\r\ncontent-type: application/json\r\nuser-agent: GitHub-Hookshot/bench\r\n\
         x-github-event: {}\r\nx-github-delivery: {}\r\nx-github-hook-id: 1\r\nx-hub-signature-256: {}\r\n\
         content-length: {}\r\n\r\n",
        payload.event,
        uuid::Uuid::new_v4(),
        payload.signature,
        payload.body.len(),
    )
    .into_bytes();
    request.extend_from_slice(&payload.body);
    request
}

/// A connection that is kept. A client library would take more of the machine than the gateway that is measured.
struct Connection {
    stream: TcpStream,
    read: BytesMut,
}

impl Connection {
    async fn open(to: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: BytesMut::with_capacity(16 * 1024) })
    }

    async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(request).await?;
        let head_end = loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            ensure!(self.stream.read_buf(&mut self.read).await? > 0, "the gateway hung up");
        };
        let head = self.read.split_to(head_end);
        let head = std::str::from_utf8(&head)?.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.context("the answer has no length")?.trim().parse()?;
        while self.read.len() < length {
            ensure!(self.stream.read_buf(&mut self.read).await? > 0, "the gateway hung up");
        }
        let body = self.read.split_to(length);
        ensure!(head.starts_with("http/1.1 202"), "{head}{}", String::from_utf8_lossy(&body));
        Ok(())
    }
}
