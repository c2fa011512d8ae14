//! Sending deliveries: signed, in order per hook, once, with a log of what came back.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    forge::Forge,
    knobs::Fate,
    state::{Delivery, Hook},
};

/// GitHub gives a receiver this long.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The log keeps this many deliveries; GitHub keeps three days.
const LOG: usize = 5_000;
/// Bytes of an answer that the log keeps.
const ANSWER: usize = 64 * 1024;

/// What came of one attempt.
struct Outcome {
    status_code: u16,
    status: String,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Outcome {
    fn failed(status_code: u16, status: &str) -> Self {
        Self { status_code, status: status.into(), headers: BTreeMap::new(), body: String::new() }
    }
}

/// `sha256=` and the HMAC of the body.
pub(crate) fn signature(secret: &str, body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(body);
    Some(format!("sha256={}", hex::encode(mac.finalize().into_bytes())))
}

/// Hands each delivery to the task of its hook.
pub(crate) async fn run(forge: Forge, mut queue: mpsc::UnboundedReceiver<u64>, stop: CancellationToken) {
    let Ok(client) =
        reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).no_proxy().build()
    else {
        tracing::error!("no HTTP client could be made; no webhook will be sent");
        return;
    };
    let tasks = TaskTracker::new();
    let mut hooks: HashMap<u64, mpsc::UnboundedSender<u64>> = HashMap::new();
    loop {
        let id = tokio::select! {
            () = stop.cancelled() => return,
            id = queue.recv() => id,
        };
        let Some(id) = id else { return };
        let Some(hook) = forge.read(|view| view.model.deliveries.get(&id).map(|known| known.hook)) else {
            continue;
        };
        let sender = hooks.entry(hook).or_insert_with(|| {
            let (sender, receiver) = mpsc::unbounded_channel();
            let work = deliver_all(forge.clone(), client.clone(), receiver);
            let stop = stop.clone();
            tasks.spawn(async move {
                stop.run_until_cancelled(work).await;
            });
            sender
        });
        if sender.send(id).is_err() {
            return;
        }
    }
}

async fn deliver_all(forge: Forge, client: reqwest::Client, mut queue: mpsc::UnboundedReceiver<u64>) {
    let mut held = Vec::new();
    while let Some(id) = queue.recv().await {
        let Some(event) = forge.read(|view| view.model.deliveries.get(&id).map(|known| known.event.clone())) else {
            continue;
        };
        match forge.knobs.fate(&event) {
            Fate::Send => deliver(&forge, &client, id).await,
            Fate::Drop => {
                note(&forge, id, (Duration::ZERO, BTreeMap::new()), Outcome::failed(502, "failed to connect to host"));
            }
            Fate::Double => {
                deliver(&forge, &client, id).await;
                deliver(&forge, &client, id).await;
            }
            Fate::Hold => held.push(id),
            Fate::Release => {
                held.push(id);
                for id in held.drain(..).rev() {
                    deliver(&forge, &client, id).await;
                }
            }
        }
    }
}

async fn deliver(forge: &Forge, client: &reqwest::Client, id: u64) {
    let known = forge.read(|view| {
        let delivery = view.model.deliveries.get(&id)?.clone();
        let hook = view.model.repos.get(&delivery.repository)?.hooks.get(&delivery.hook)?.clone();
        Some((delivery, hook))
    });
    // A hook that was removed meanwhile gets nothing any more.
    let Some((delivery, hook)) = known else { return };
    let (headers, body) = request(&delivery, &hook);
    let started = Instant::now();
    let outcome = if forge.knobs.offline() {
        Outcome::failed(502, "failed to connect to host")
    } else {
        send(client, &hook.url, &headers, body).await
    };
    note(forge, id, (started.elapsed(), headers), outcome);
}

fn request(delivery: &Delivery, hook: &Hook) -> (BTreeMap<String, String>, String) {
    let (content_type, body) = if hook.content_type == "json" {
        ("application/json", delivery.payload.clone())
    } else {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("payload", &delivery.payload);
        ("application/x-www-form-urlencoded", form.finish())
    };
    let mut headers: BTreeMap<String, String> = [
        ("Accept", "*/*".to_owned()),
        ("Content-Type", content_type.to_owned()),
        ("User-Agent", "GitHub-Hookshot/stand-in".to_owned()),
        ("X-GitHub-Delivery", delivery.guid.clone()),
        ("X-GitHub-Event", delivery.event.clone()),
        ("X-GitHub-Hook-ID", hook.id.to_string()),
        ("X-GitHub-Hook-Installation-Target-ID", delivery.repository.to_string()),
        ("X-GitHub-Hook-Installation-Target-Type", "repository".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    if let Some(signature) = hook.secret.as_deref().and_then(|secret| signature(secret, body.as_bytes())) {
        headers.insert("X-Hub-Signature-256".into(), signature);
    }
    (headers, body)
}

async fn send(client: &reqwest::Client, url: &str, headers: &BTreeMap<String, String>, body: String) -> Outcome {
    let mut request = client.post(url).body(body);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) if error.is_timeout() => return Outcome::failed(504, "timed out"),
        Err(_) => return Outcome::failed(502, "failed to connect to host"),
    };
    let status = response.status();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let Ok(body) = response.bytes().await else { return Outcome::failed(504, "timed out") };
    let body = String::from_utf8_lossy(&body[..body.len().min(ANSWER)]).into_owned();
    let word =
        if status.is_success() { "OK".to_owned() } else { format!("Invalid HTTP Response: {}", status.as_u16()) };
    Outcome { status_code: status.as_u16(), status: word, headers, body }
}

fn note(forge: &Forge, id: u64, (took, headers): (Duration, BTreeMap<String, String>), outcome: Outcome) {
    let noted = forge.write(|tx| {
        let now = tx.now;
        while tx.model.deliveries.len() > LOG {
            let oldest = tx.model.deliveries.values().find(|known| known.delivered_at.is_some());
            let Some(oldest) = oldest.map(|known| known.id) else { break };
            tx.model.deliveries.remove(&oldest);
        }
        let Some(delivery) = tx.model.deliveries.get_mut(&id) else { return Ok(()) };
        delivery.delivered_at = Some(now);
        delivery.duration = took.as_secs_f64();
        delivery.status.clone_from(&outcome.status);
        delivery.status_code = outcome.status_code;
        delivery.request_headers = headers;
        delivery.response_headers = outcome.headers;
        delivery.response_body = outcome.body;
        let (repo, hook) = (delivery.repository, delivery.hook);
        if let Some(hook) = tx.model.repos.get_mut(&repo).and_then(|repo| repo.hooks.get_mut(&hook)) {
            hook.last_response = Some((outcome.status_code, outcome.status));
        }
        Ok(())
    });
    if let Err(error) = noted {
        tracing::error!(%error, delivery = id, "the outcome of a delivery was not noted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector that GitHub publishes for those who check signatures.
    #[test]
    fn signatures_are_made_as_github_makes_them() {
        assert_eq!(
            signature("It's a Secret to Everybody", b"Hello, World!").as_deref(),
            Some("sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
        );
    }
}
