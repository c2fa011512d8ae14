//! `POST /runner/v1/egress`: the egress proxy asks whether a program of a Job may reach a host. A refusal is recorded on the run.
//!
//! The list is that of the settings on the default branch, whatever branch the run works on: an agent can't lengthen its own.

use axum::{Json, extract::State};
use domain::{
    egress::{self, AskedHost, EgressRefusal},
    services_yaml::EgressConfig,
};
use serde::{Deserialize, Serialize};
use store::egress::{NewRefusal, record, settings};

use super::auth::EgressAuth;
use crate::{app::AppState, problem::Problem};

/// What a program wants to reach.
#[derive(Debug, Deserialize)]
pub(super) struct Question {
    /// The name, or whatever else was given in its place.
    host: String,
    port: u16,
    /// The proxy has seen that the name leads into a private network.
    #[serde(default)]
    private: bool,
}

/// Whether it may.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<EgressRefusal>,
    /// A sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

pub(super) async fn post(
    EgressAuth(run, attempt): EgressAuth,
    State(state): State<AppState>,
    Json(question): Json<Question>,
) -> Result<Json<Answer>, Problem> {
    let host = AskedHost::new(&question.host);
    let mut conn = state.store().acquire().await?;
    let own = match settings(&mut conn, run).await? {
        // What can't be read lets nobody out beyond the platform's list.
        Some(value) => serde_json::from_value::<EgressConfig>(value).unwrap_or_default(),
        None => EgressConfig::default(),
    };
    let judged = if question.private {
        Err(EgressRefusal::Private)
    } else {
        egress::judge(&host, question.port, state.egress_hosts().iter().chain(&own.allow))
    };
    state.telemetry().metrics.egress_judged(judged.err());
    let Err(reason) = judged else { return Ok(Json(Answer { allowed: true, reason: None, detail: None })) };
    let refusal = NewRefusal { host: host.as_str(), port: question.port, reason, now: state.now() };
    if record(&mut conn, run, attempt, refusal).await? {
        tracing::info!(%run, %attempt, host = host.as_str(), port = question.port, %reason, "a program was not let out");
    }
    let detail = Some(egress::sentence(host.as_str(), question.port, reason));
    Ok(Json(Answer { allowed: false, reason: Some(reason), detail }))
}
