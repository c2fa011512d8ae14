//! `/healthz`: the process lives. `/readyz`: its parts do.

use std::time::Duration;

use axum::{Json, extract::State};
use dispatch::Engine;
use http::StatusCode;
use serde::Serialize;
use store::Store;

use crate::app::AppState;

/// Who asks wants to know now.
const LOOK_LIMIT: Duration = Duration::from_secs(2);

/// Whether a role can work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// All needed parts answer.
    pub ready: bool,
    /// Each part.
    pub parts: Vec<Part>,
}

/// A part that a role rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// Whether it answers.
    pub ok: bool,
    /// Whether the role is of no use without it.
    pub needed: bool,
    /// What is wrong.
    pub detail: Option<&'static str>,
}

pub(crate) async fn alive() -> &'static str {
    "alive\n"
}

/// Temporal is looked at, but a gateway without it is ready all the same: webhooks are stored and wait in the outbox.
pub(crate) async fn ready(State(state): State<AppState>) -> (StatusCode, Json<Readiness>) {
    let (postgres, temporal) = tokio::join!(postgres(state.store()), temporal(state.dispatcher().engine()));
    answer(vec![postgres, temporal])
}

/// The answer to who asks whether a role is ready.
pub(crate) fn answer(parts: Vec<Part>) -> (StatusCode, Json<Readiness>) {
    let ready = parts.iter().all(|part| part.ok || !part.needed);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, parts }))
}

pub(crate) async fn postgres(store: &Store) -> Part {
    let ok = matches!(tokio::time::timeout(LOOK_LIMIT, store.ping()).await, Ok(Ok(())));
    Part { name: "postgres", ok, needed: true, detail: (!ok).then_some("the database does not answer") }
}

async fn temporal(engine: &Engine) -> Part {
    // Any question will do; there is never a workflow of this name.
    let id = format!("{}:readyz", engine.settings().instance);
    let ok = matches!(tokio::time::timeout(LOOK_LIMIT, engine.state(&id)).await, Ok(Ok(_)));
    Part { name: "temporal", ok, needed: false, detail: (!ok).then_some("not reachable; commands wait in the outbox") }
}
