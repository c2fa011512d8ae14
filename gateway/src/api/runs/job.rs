//! `GET /api/v1/runs/{run}/attempts/{attempt}/job`

use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::{
    ids::{Attempt, RunId},
    job_ending::FailureClass,
    people::ProjectRole,
    sentences::{self, Coded},
};
use http::HeaderMap;
use serde::Serialize;
use store::{job_events, job_failures};
use utoipa::ToSchema;

use super::{
    super::{body::At, etag::tagged},
    of_attempt,
};
use crate::{auth::Caller, problem::Problem};

/// The Job of an attempt, as those saw it who ran it.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct AttemptJob {
    /// Its name in the cluster, or in the folder of a local launcher; none before it is asked for.
    name: Option<String>,
    /// `none`, `launching`, `running` or `ended`.
    state: String,
    /// When it was last heard of.
    heartbeat_at: Option<DateTime<Utc>>,
    /// Why it ended without a report; none if it reported, or is at work.
    failure: Option<EndWithoutReport>,
    /// What the cluster said about it, oldest first; at most 200.
    events: Vec<ClusterEvent>,
}

/// Why a Job ended without a report.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct EndWithoutReport {
    class: FailureClass,
    /// How it ended, as a sentence; none if it was given up while it was there.
    ending: Option<String>,
    /// The same by its code.
    ending_coded: Option<Coded>,
    /// What a person can do, as a sentence.
    next_step: &'static str,
    /// The same by its code.
    next_step_coded: Option<Coded>,
    /// The last that it wrote itself.
    last_output: Option<String>,
}

/// Something that the cluster said.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct ClusterEvent {
    /// When it last happened.
    at: DateTime<Utc>,
    /// How often it happened.
    count: u32,
    warning: bool,
    /// One word.
    reason: String,
    /// The cluster's words.
    message: String,
}

/// The Job of an attempt: how it ended, and what the cluster said about it
#[utoipa::path(
    get, path = "/api/v1/runs/{run}/attempts/{attempt}/job", tag = "runs",
    params(("run" = RunId, Path, description = "Which."), ("attempt" = u32, Path, description = "Its number.")),
    responses((status = 200, description = "The Job.", body = AttemptJob))
)]
pub(in crate::api) async fn read_job(
    caller: Caller,
    headers: HeaderMap,
    At((id, attempt)): At<(RunId, u32)>,
) -> Result<Response, Problem> {
    let row = of_attempt(&caller, id, attempt, ProjectRole::Read).await?;
    let mut conn = caller.store().acquire().await?;
    let failure = job_failures::get(&mut conn, id, Attempt(attempt)).await?;
    let events = job_events::list(&mut conn, id, Attempt(attempt)).await?;
    let job = AttemptJob {
        name: row.job_name,
        state: row.job_state.as_str().to_owned(),
        heartbeat_at: row.job_heartbeat_at,
        failure: failure.map(without_report),
        events: events.into_iter().map(said).collect(),
    };
    Ok(tagged(&headers, &job))
}

fn without_report(failure: job_failures::JobFailure) -> EndWithoutReport {
    let ending = failure.evidence.ending.map(|ending| ending.sentence());
    EndWithoutReport {
        class: failure.class,
        ending_coded: ending.as_deref().and_then(sentences::read),
        ending,
        next_step: failure.class.next_step(),
        next_step_coded: sentences::read(failure.class.next_step()),
        last_output: failure.evidence.last_output,
    }
}

fn said(event: job_events::JobEvent) -> ClusterEvent {
    ClusterEvent {
        at: event.at,
        count: event.count,
        warning: event.warning,
        reason: event.reason,
        message: event.message,
    }
}
