//! A program that receives webhooks and remembers them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, routing::post};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use sha2::Sha256;
use tokio::{net::TcpListener, sync::watch};

pub const SECRET: &str = "between us";
pub const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Debug)]
pub struct Received {
    pub headers: HeaderMap,
    pub raw: Bytes,
    pub payload: Value,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap().to_str().unwrap()
    }

    pub fn event(&self) -> &str {
        self.header("x-github-event")
    }

    /// `event.action`, or the event alone.
    pub fn name(&self) -> String {
        match self.payload["action"].as_str() {
            Some(action) => format!("{}.{action}", self.event()),
            None => self.event().to_owned(),
        }
    }

    pub fn is_signed(&self) -> bool {
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(&self.raw);
        let wanted = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        self.header("x-hub-signature-256") == wanted
    }
}

#[derive(Clone)]
struct Inbox {
    received: Arc<watch::Sender<Vec<Received>>>,
    status: Arc<AtomicU16>,
}

pub struct Receiver {
    inbox: Inbox,
    pub url: String,
    task: tokio::task::JoinHandle<()>,
}

impl Receiver {
    pub async fn start() -> Self {
        let inbox = Inbox { received: Arc::new(watch::Sender::default()), status: Arc::new(AtomicU16::new(202)) };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhooks/github", listener.local_addr().unwrap());
        let app = Router::new().route("/webhooks/github", post(receive)).with_state(inbox.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { inbox, url, task }
    }

    pub fn answer_with(&self, status: u16) {
        self.inbox.status.store(status, Ordering::SeqCst);
    }

    pub fn all(&self) -> Vec<Received> {
        self.inbox.received.borrow().clone()
    }

    /// Waits until that many deliveries (pings left out) are there.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        let without_pings =
            |all: &[Received]| all.iter().filter(|one| one.event() != "ping").cloned().collect::<Vec<_>>();
        let mut received = self.inbox.received.subscribe();
        let waited = tokio::time::timeout(PATIENCE, received.wait_for(|all| without_pings(all).len() >= count)).await;
        let found = without_pings(&self.all());
        let names: Vec<_> = found.iter().map(Received::name).collect();
        assert!(waited.is_ok(), "{count} deliveries expected, these came: {names:?}");
        found
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn receive(State(inbox): State<Inbox>, headers: HeaderMap, raw: Bytes) -> StatusCode {
    let payload = serde_json::from_slice(&raw).unwrap_or(Value::Null);
    inbox.received.send_modify(|all| all.push(Received { headers, raw, payload }));
    StatusCode::from_u16(inbox.status.load(Ordering::SeqCst)).unwrap()
}
