//! `POST /api/v1/pauses`

use axum::response::Response;
use domain::{
    ids::{ProjectId, RunId},
    people::{PlatformRole, ProjectRole},
    sentences,
    services_yaml::AgentName,
};
use http::{HeaderMap, StatusCode};
use ingest::by_hand::{self, Asker, ByHandError};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{
    StoreError,
    pauses::{self, NewPause},
};
use utoipa::ToSchema;

use super::{
    super::{
        body::Sent,
        idempotency::{Begun, Wish},
        reasons,
        runs::{Running, account},
    },
    Pause, no_pause,
};
use crate::{
    auth::{Caller, DoneTo},
    problem::Problem,
};

/// What is to be paused.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct BeginPause {
    /// Short name of a project; without, it holds for all of them.
    project: Option<String>,
    /// Name of an agent; without, it holds for all of them.
    agent: Option<String>,
    /// Stands in the audit, on the banner, and at every delivery that is held back.
    #[schema(max_length = 500)]
    reason: String,
    /// What becomes of the runs that are at work or wait.
    #[serde(default)]
    running: Running,
}

/// A pause that has begun.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct BegunPause {
    pause: Pause,
    /// The runs that are to be asked to end, 1000 at most.
    cancelling: usize,
}

/// Pause the platform, a project or an agent: what would start meanwhile is written down, and can be replayed later
#[utoipa::path(
    post, path = "/api/v1/pauses", tag = "pauses", request_body = BeginPause,
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is done once.")
    ),
    responses((status = 201, description = "It is paused.", body = BegunPause))
)]
pub(in crate::api) async fn begin_pause(
    caller: Caller,
    headers: HeaderMap,
    Sent(wanted): Sent<BeginPause>,
) -> Result<Response, Problem> {
    let project: Option<ProjectId> = match &wanted.project {
        Some(slug) => Some(caller.on_project(slug, ProjectRole::Admin).await?.id),
        None => {
            caller.on_platform(PlatformRole::Admin)?;
            None
        }
    };
    let agent: Option<AgentName> = match &wanted.agent {
        Some(name) => {
            Some(name.parse().map_err(|_| Problem::bad_request("agent_invalid", sentences::agent_name_invalid()))?)
        }
        None => None,
    };
    let agent = agent.as_ref().map(AgentName::as_str);
    let reason = reasons::needed(&wanted.reason)?;
    let cancels = wanted.running == Running::Cancel;
    if cancels {
        account(&caller)?;
    }
    let wish = Wish::read(&headers, "begin_pause", &wanted)?;
    let mut writing = match wish.begin(&caller).await? {
        Begun::Answered(answer) => return Ok(answer),
        Begun::New(writing) => writing,
    };
    let conn = writing.conn();
    let new = NewPause { project, agent, reason, by: caller.person().id, now: caller.now() };
    let id = pauses::begin(conn, new).await?.ok_or_else(paused_already)?;
    let detail = json!({
        "pause": id, "project": project, "agent": agent, "reason": reason, "running": wanted.running,
    });
    caller.audit_about(conn, "pause.begun", detail, project.map(DoneTo::Project)).await?;
    let row = pauses::get(conn, id).await?.ok_or_else(no_pause)?;
    let at_work = if cancels { pauses::at_work(conn, project, agent).await? } else { Vec::new() };
    let answer = BegunPause { pause: Pause::of(row, true), cancelling: at_work.len() };
    let response = writing.answer(&caller, StatusCode::CREATED, &answer, None).await?;
    for run in at_work {
        cancel(&caller, run, reason).await?;
    }
    Ok(response)
}

fn paused_already() -> Problem {
    Problem::new(StatusCode::CONFLICT, "paused_already", sentences::paused_already())
}

/// Asks a run to end, in a transaction of its own: one that ends by itself meanwhile must not keep the others at work.
async fn cancel(caller: &Caller, run: RunId, reason: &str) -> Result<(), Problem> {
    let (by, because) = (account(caller)?, sentences::paused_for(reason));
    let asker = Asker { by: &by, reason: Some(&because), instance: caller.app().instance(), now: caller.now() };
    let mut tx = caller.store().begin().await?;
    match by_hand::cancel(&mut tx, run, asker).await {
        Ok(followed) => {
            tx.commit().await.map_err(StoreError::from)?;
            caller.store().ring(run);
            if let Some(workflow) = followed.workflow_id {
                caller.app().dispatcher().spawn(workflow);
            }
            Ok(())
        }
        Err(ByHandError::Store(error)) => Err(error.into()),
        Err(_) => Ok(()),
    }
}
