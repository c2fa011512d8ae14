//! What happened and who did it.

pub(super) mod export;
pub(super) mod list;

use chrono::{DateTime, Utc};
use domain::{
    ids::{DeliveryId, PersonId, ProjectId, RepositoryId, RunId},
    people::ProjectRole,
};
use serde::Serialize;
use serde_json::Value;
use store::audit::{AuditFilter, FlowEvent};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{auth::Caller, problem::Problem};

/// Which events, as callers write it.
struct Which {
    project: Option<String>,
    actor: Option<String>,
    kind: Option<String>,
    run: Option<RunId>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
}

/// Something that happened.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct AuditEvent {
    id: Uuid,
    at: DateTime<Utc>,
    /// Who did it: a login, or a part of the platform.
    actor: String,
    /// What, as a word.
    kind: String,
    run: Option<RunId>,
    repository: Option<RepositoryId>,
    /// Short name of the project, if it was done to the project itself.
    project: Option<String>,
    delivery: Option<DeliveryId>,
    /// The particulars.
    detail: Value,
}

impl From<FlowEvent> for AuditEvent {
    fn from(event: FlowEvent) -> Self {
        let FlowEvent { id, at, run, repository, project, delivery, actor, kind, detail } = event;
        Self { id, at, actor, kind, run, repository, project: project.map(|(_, slug)| slug), delivery, detail }
    }
}

/// A filter that holds what it is made of.
struct Wanted {
    seen_by: Option<PersonId>,
    project: Option<ProjectId>,
    which: Which,
}

impl Wanted {
    /// What the caller may see of what they ask for. What belongs to no project is for those who run the platform.
    async fn read(caller: &Caller, which: Which) -> Result<Self, Problem> {
        let project = match &which.project {
            Some(slug) => Some(caller.on_project(slug, ProjectRole::Read).await?.id),
            None => None,
        };
        let seen_by = (!caller.sees_all()).then_some(caller.person().id);
        Ok(Self { seen_by, project, which })
    }

    fn filter(&self, before: Option<Uuid>) -> AuditFilter<'_> {
        AuditFilter {
            seen_by: self.seen_by,
            project: self.project,
            actor: self.which.actor.as_deref().map(str::trim).filter(|text| !text.is_empty()),
            kind: self.which.kind.as_deref().map(str::trim).filter(|text| !text.is_empty()),
            run: self.which.run,
            since: self.which.since,
            until: self.which.until,
            before,
        }
    }
}
