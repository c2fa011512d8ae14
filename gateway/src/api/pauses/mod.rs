//! Pauses of the platform, a project or an agent: what would start meanwhile is written down, and can be replayed later.

pub(super) mod begin;
pub(super) mod end;
pub(super) mod list;

use chrono::{DateTime, Utc};
use domain::{
    ids::{PauseId, ProjectId},
    people::{PlatformRole, ProjectRole},
    sentences,
};
use http::StatusCode;
use serde::Serialize;
use store::pauses;
use utoipa::ToSchema;

use crate::{auth::Caller, problem::Problem};

/// A pause.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Pause {
    id: PauseId,
    /// Short name of the project; none: it holds for all.
    project: Option<String>,
    /// Name of the agent; none: it holds for all.
    agent: Option<String>,
    reason: String,
    /// Who paused it.
    begun_by: String,
    begun_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    /// Deliveries that were held back since it began.
    held_back: u64,
    /// Whether the caller may end it.
    may_end: bool,
}

impl Pause {
    fn of(row: pauses::Pause, may_end: bool) -> Self {
        Self {
            id: row.id,
            project: row.project.map(|(_, slug)| slug),
            agent: row.agent,
            reason: row.reason,
            begun_by: row.begun_by,
            begun_at: row.begun_at,
            ended_at: row.ended_at,
            held_back: row.held_back,
            may_end,
        }
    }
}

fn no_pause() -> Problem {
    let detail = sentences::pause_not_found();
    Problem::new(StatusCode::NOT_FOUND, "pause_not_found", detail)
}

/// Lets through who may pause this: admins of the project; for all projects, who runs the platform.
async fn may_pause(caller: &Caller, project: Option<ProjectId>) -> Result<(), Problem> {
    match project {
        Some(project) => caller.in_project(project, ProjectRole::Admin, no_pause).await.map(drop),
        None => caller.on_platform(PlatformRole::Admin),
    }
}
