//! What the server says about itself.

use axum::{Json, Router, extract::State, routing::get};
use serde_json::{Value, json};

use crate::github::{access::Caller, error::ApiError, forge::Forge};

/// Requests per hour that the headers speak of.
pub(crate) const HOURLY_LIMIT: u64 = 5_000;

pub(super) fn router() -> Router<Forge> {
    Router::new().route("/meta", get(meta)).route("/rate_limit", get(rate_limit))
}

async fn meta() -> Json<Value> {
    Json(json!({
        "verifiable_password_authentication": false,
        "hooks": ["127.0.0.1/32", "::1/128"],
        "git": ["127.0.0.1/32", "::1/128"],
        "api": ["127.0.0.1/32", "::1/128"],
        "web": ["127.0.0.1/32", "::1/128"],
    }))
}

async fn rate_limit(State(forge): State<Forge>, caller: Caller) -> Result<Json<Value>, ApiError> {
    let (used, reset) = forge.knobs.budget(caller.0, forge.clock.now());
    let entry = json!({
        "limit": HOURLY_LIMIT, "used": used, "remaining": HOURLY_LIMIT.saturating_sub(used), "reset": reset,
    });
    let mut core = entry.clone();
    core["resource"] = "core".into();
    let mut search = entry.clone();
    search["resource"] = "search".into();
    Ok(Json(json!({"resources": {"core": core, "search": search}, "rate": entry})))
}
