//! Who may sign in: the list that admins keep.

pub(super) mod add;
pub(super) mod change;
pub(super) mod list;
pub(super) mod read;

use chrono::{DateTime, Utc};
use domain::{
    ids::PersonId,
    people::{Email, PlatformRole},
};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::Problem;

/// Somebody on the list.
#[derive(Serialize, ToSchema)]
pub(super) struct Person {
    id: PersonId,
    email: Email,
    /// Login on GitHub, once they have signed in.
    login: Option<String>,
    /// Name on GitHub, once they have signed in.
    name: Option<String>,
    role: PlatformRole,
    /// Since when they are locked out.
    disabled_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    /// The last sign-in.
    signed_in_at: Option<DateTime<Utc>>,
}

impl From<store::people::Person> for Person {
    fn from(person: store::people::Person) -> Self {
        Self {
            id: person.id,
            email: person.email,
            login: person.login,
            name: person.name,
            role: person.role,
            disabled_at: person.disabled_at,
            created_at: person.created_at,
            signed_in_at: person.signed_in_at,
        }
    }
}

/// Nobody has this id.
pub(super) fn no_person() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "person_not_found", "there is no such person on the list")
}
