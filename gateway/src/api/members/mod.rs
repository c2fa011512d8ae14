//! Who may do what in a project.

pub(super) mod list;
pub(super) mod put;
pub(super) mod remove;

use chrono::{DateTime, Utc};
use domain::{
    ids::PersonId,
    people::{Email, ProjectRole},
};
use serde::Serialize;
use utoipa::ToSchema;

/// Somebody in a project.
#[derive(Serialize, ToSchema)]
pub(super) struct Member {
    person: PersonId,
    email: Email,
    /// Login on GitHub, once they have signed in.
    login: Option<String>,
    /// Name on GitHub, once they have signed in.
    name: Option<String>,
    role: ProjectRole,
    added_at: DateTime<Utc>,
}

impl From<store::members::Member> for Member {
    fn from(member: store::members::Member) -> Self {
        Self {
            person: member.person,
            email: member.email,
            login: member.login,
            name: member.name,
            role: member.role,
            added_at: member.added_at,
        }
    }
}
