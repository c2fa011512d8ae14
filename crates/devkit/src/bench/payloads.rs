//! What the benchmark sends: GitHub's published payloads about one repository, each connection's about an issue of its own, and
//! now and then a label that starts a run.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicI64, Ordering},
};

use anyhow::Context;
use bytes::Bytes;
use domain::event::Event;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;
use store::benching::FORGE_REPOSITORY;

/// Signs what is sent.
pub(super) const SECRET: &str = "bench-webhook-secret";

/// One in so many starts a run.
const STARTS: usize = 20;

/// A webhook, ready to be sent or judged.
pub(super) struct Payload {
    pub(super) event: String,
    pub(super) body: Bytes,
    pub(super) signature: String,
    pub(super) parsed: Event,
}

/// What one connection sends, over and over.
pub(super) struct Payloads {
    published: Vec<Payload>,
    label: Value,
    first_issue: i64,
    place: usize,
}

/// Issues that a run is started on; no two are the same, not even with those of an earlier benchmark in a database that is kept.
static STARTED: AtomicI64 = AtomicI64::new(0);

#[derive(Deserialize)]
struct Published {
    name: String,
    examples: Vec<Value>,
}

impl Payloads {
    /// For so many connections.
    pub(super) fn for_connections(count: u32) -> anyhow::Result<Vec<Self>> {
        let folder = std::env::var_os("CODEX_K8S_WEBHOOK_EXAMPLES").context("CODEX_K8S_WEBHOOK_EXAMPLES is not set")?;
        let text = std::fs::read(PathBuf::from(folder).join("index.json"))?;
        let events: Vec<Published> = serde_json::from_slice(&text)?;
        (0..count).map(|connection| Self::new(&events, 500_000 + i64::from(connection))).collect()
    }

    fn new(events: &[Published], issue: i64) -> anyhow::Result<Self> {
        let mut published = Vec::new();
        let mut label = None;
        for event in events {
            for example in event.examples.iter().filter(|example| example["repository"]["id"] == FORGE_REPOSITORY) {
                let mut body = example.clone();
                for subject in ["issue", "pull_request"] {
                    if body[subject].is_object() {
                        body[subject]["number"] = json!(issue);
                    }
                }
                if event.name == "issues" && body["action"] == "labeled" {
                    label = Some(body.clone());
                }
                published.push(Payload::new(&event.name, &body)?);
            }
        }
        let label = label.context("GitHub publishes no example of a label that is put on")?;
        let first_issue = chrono::Utc::now().timestamp_micros();
        Ok(Self { published, label, first_issue, place: 0 })
    }

    /// The next one. Those that start a run are made on the spot, since each needs an issue of its own.
    pub(super) fn with_next<T>(&mut self, send: impl FnOnce(&Payload) -> T) -> anyhow::Result<T> {
        self.place += 1;
        if self.place.is_multiple_of(STARTS) {
            self.label["issue"]["number"] = json!(self.first_issue + STARTED.fetch_add(1, Ordering::Relaxed));
            self.label["label"]["name"] = json!("run:dev");
            self.label["issue"]["labels"] = json!([{ "name": "run:dev" }]);
            return Ok(send(&Payload::new("issues", &self.label)?));
        }
        let place = self.place % self.published.len();
        Ok(send(&self.published[place]))
    }
}

impl Payload {
    fn new(event: &str, body: &Value) -> anyhow::Result<Self> {
        let body = Bytes::from(serde_json::to_vec(body)?);
        let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).context("sign")?.chain_update(&body);
        let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        Ok(Self { event: event.to_owned(), parsed: Event::parse(event, &body)?, body, signature })
    }
}
