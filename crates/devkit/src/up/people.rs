//! The people of the local platform: accounts of the stand-in who may sign in to the console.

use anyhow::Context;
use chrono::Utc;
use domain::{
    ids::ProjectId,
    people::{Email, PlatformRole, ProjectRole},
};
use store::{Store, members, people};

/// Somebody who may sign in.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalPerson {
    /// Their account in the stand-in.
    pub(super) login: &'static str,
    /// Its primary address.
    pub(super) email: &'static str,
    /// Their role in the demo's project; the owner needs none.
    role: Option<ProjectRole>,
}

/// Who owns the platform.
pub(super) const OWNER: LocalPerson =
    LocalPerson { login: "maintainer", email: "maintainer@people.example", role: None };

/// Everybody who may sign in.
pub(super) const PEOPLE: [LocalPerson; 3] = [
    OWNER,
    LocalPerson { login: "writer", email: "writer@people.example", role: Some(ProjectRole::Write) },
    LocalPerson { login: "reader", email: "reader@people.example", role: Some(ProjectRole::Read) },
];

/// Puts them on the list and into the project. What somebody has changed meanwhile stays.
pub(super) async fn invite(store: &Store, project: ProjectId) -> anyhow::Result<()> {
    let now = Utc::now();
    let mut tx = store.begin().await?;
    for person in PEOPLE {
        let email: Email = person.email.parse()?;
        if person.role.is_none() {
            people::ensure_owner(&mut tx, &email, now).await?;
            continue;
        }
        let added = people::add(&mut tx, &email, PlatformRole::None, now).await?;
        if let (Some(id), Some(role)) = (added, person.role) {
            members::put(&mut tx, project, id, role, now).await?;
        }
    }
    tx.commit().await.context("put people on the list")
}
