//! The projects that the caller sees.

pub(super) mod change;
pub(super) mod create;
pub(super) mod delete;
pub(super) mod export;
pub(super) mod list;
pub(super) mod read;
pub(super) mod settings;

use chrono::{DateTime, Utc};
use domain::{
    ids::ProjectId,
    people::ProjectRole,
    sentences::{self, Coded},
};
use serde::Serialize;
use store::project_deletions::ProjectDeletion;
use utoipa::ToSchema;

use crate::auth::OnProject;

/// A project.
#[derive(Serialize, ToSchema)]
pub(super) struct Project {
    id: ProjectId,
    /// Its short name, as in addresses.
    slug: String,
    /// How many of its runs may work at once.
    slots: u32,
    created_at: DateTime<Utc>,
    /// What the caller may do here.
    my_role: ProjectRole,
    /// Set once somebody had it deleted.
    deletion: Option<Deletion>,
}

/// The deletion of a project.
#[derive(Serialize, ToSchema)]
pub(super) struct Deletion {
    /// Login of who asked.
    by: String,
    reason: String,
    asked_at: DateTime<Utc>,
    /// What it waits for, as a sentence.
    waits_for: Option<String>,
    /// The same by its code.
    waits_for_coded: Option<Coded>,
    /// When nothing was left to be done; none while it is under way.
    ended_at: Option<DateTime<Utc>>,
}

impl From<ProjectDeletion> for Deletion {
    fn from(row: ProjectDeletion) -> Self {
        Self {
            by: row.asked_by.login,
            reason: row.reason,
            asked_at: row.asked_at,
            waits_for_coded: row.message.as_deref().and_then(sentences::read),
            waits_for: row.message,
            ended_at: row.ended_at,
        }
    }
}

impl Project {
    fn of(project: OnProject, deletion: Option<ProjectDeletion>) -> Self {
        let OnProject { id, slug, slots, created_at, role } = project;
        Self { id, slug, slots, created_at, my_role: role, deletion: deletion.map(Deletion::from) }
    }
}
