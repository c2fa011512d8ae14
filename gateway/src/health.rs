//! `/healthz`: the process lives. `/readyz`: it can work.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use telemetry::{
    database,
    readiness::{Part, Readiness, Without},
};

use crate::{
    app::{AppParts, AppState},
    problem::Foreign,
};

/// Temporal is looked at, but a gateway without it is ready all the same: webhooks are stored and wait in the outbox. So is one
/// without its replica, whose reads the primary answers.
pub(crate) fn readiness(parts: &AppParts) -> Arc<Readiness> {
    let mut rests_on = vec![
        database::part(&parts.store),
        // The settings are refused without them.
        Part::loaded("keys"),
        parts.dispatcher.engine_part(Without::Degraded),
    ];
    rests_on.extend(database::replica_part(&parts.store));
    Readiness::new(rests_on, Arc::clone(&parts.clock))
}

pub(crate) async fn answer(readiness: &Readiness) -> Response {
    let (status, report) = readiness.answer().await;
    (status, Extension(Foreign), report).into_response()
}

pub(crate) async fn alive() -> &'static str {
    "alive\n"
}

pub(crate) async fn ready(State(state): State<AppState>) -> Response {
    answer(state.readiness()).await
}
