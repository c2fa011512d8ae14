//! Who may sign in: the list that admins keep.

pub(super) mod add;
pub(super) mod change;
pub(super) mod give_grant;
pub(super) mod list;
pub(super) mod read;
pub(super) mod withdraw_grant;

use chrono::{DateTime, Utc};
use domain::{
    ids::PersonId,
    people::{Email, PlatformRole},
    sentences,
};
use http::StatusCode;
use serde::Serialize;
use store::{PgConnection, operator_grants, people};
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
    /// Whether they may change things in the engine's own UI, which needs a grant whatever their role is.
    operator_grant: Option<OperatorGrant>,
}

/// Leave to change things in the engine's own UI.
#[derive(Serialize, ToSchema)]
pub(super) struct OperatorGrant {
    /// Why it was given.
    reason: String,
    /// Login of who gave it, or their address.
    given_by: String,
    given_at: DateTime<Utc>,
}

impl Person {
    /// Somebody by id, as they are shown.
    ///
    /// # Errors
    /// 404; 503 if the database does not answer.
    pub(super) async fn get(conn: &mut PgConnection, id: PersonId) -> Result<Self, Problem> {
        let person = people::get(conn, id).await?.ok_or_else(no_person)?;
        Ok((person, operator_grants::of(conn, id).await?).into())
    }
}

impl From<(people::Person, Option<operator_grants::OperatorGrant>)> for Person {
    fn from((person, grant): (people::Person, Option<operator_grants::OperatorGrant>)) -> Self {
        Self {
            id: person.id,
            email: person.email,
            login: person.login,
            name: person.name,
            role: person.role,
            disabled_at: person.disabled_at,
            created_at: person.created_at,
            signed_in_at: person.signed_in_at,
            operator_grant: grant.map(|grant| OperatorGrant {
                reason: grant.reason,
                given_by: grant.given_by,
                given_at: grant.given_at,
            }),
        }
    }
}

/// Nobody has this id.
pub(super) fn no_person() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "person_not_found", sentences::person_not_found())
}
