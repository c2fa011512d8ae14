//! The projects that the caller sees.

pub(super) mod change;
pub(super) mod list;
pub(super) mod read;

use chrono::{DateTime, Utc};
use domain::{ids::ProjectId, people::ProjectRole};
use serde::Serialize;
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
}

impl From<OnProject> for Project {
    fn from(project: OnProject) -> Self {
        let OnProject { id, slug, slots, created_at, role } = project;
        Self { id, slug, slots, created_at, my_role: role }
    }
}
