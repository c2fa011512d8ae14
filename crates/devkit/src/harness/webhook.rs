//! Webhooks without the stand-in, for tests that need to choose gateway and moment.

use anyhow::Context;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::parts::WEBHOOK_SECRET;

/// Sends one, signed, with a GUID of its own.
pub(super) async fn send(gateway: &str, event: &str, body: &Value) -> anyhow::Result<Value> {
    let body = serde_json::to_vec(body)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(WEBHOOK_SECRET.as_bytes()).context("sign")?;
    mac.update(&body);
    let answer = reqwest::Client::new()
        .post(format!("{gateway}/webhooks/github"))
        .header("content-type", "application/json")
        .header("x-github-event", event)
        .header("x-github-delivery", uuid::Uuid::new_v4().to_string())
        .header("x-hub-signature-256", format!("sha256={}", hex::encode(mac.finalize().into_bytes())))
        .body(body)
        .send()
        .await?;
    let status = answer.status();
    let text = answer.text().await?;
    anyhow::ensure!(status == reqwest::StatusCode::ACCEPTED, "{status}: {text}");
    Ok(serde_json::from_str(&text)?)
}
