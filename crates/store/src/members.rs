//! Who may do what in a project, and the projects that somebody sees.

use chrono::{DateTime, Utc};
use domain::{
    ids::{PersonId, ProjectId},
    people::{Email, ProjectRole},
};
use sqlx::PgConnection;

use crate::{
    Result,
    convert::{clean, clean_opt, parse, parse_opt},
};

/// A project as somebody sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenProject {
    /// Its id.
    pub id: ProjectId,
    /// Its short name.
    pub slug: String,
    /// How many of its runs may work at once.
    pub slots: u32,
    /// Since when it is there.
    pub created_at: DateTime<Utc>,
    /// What they may do there; none if they are no member.
    pub role: Option<ProjectRole>,
}

/// Somebody in a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub person: PersonId,
    /// Their address on the list.
    pub email: Email,
    /// Their login, once they have signed in.
    pub login: Option<String>,
    /// Their name, once they have signed in.
    pub name: Option<String>,
    /// What they may do.
    pub role: ProjectRole,
    /// Since when.
    pub added_at: DateTime<Utc>,
}

/// Which projects are asked for.
#[derive(Clone, Copy, Debug)]
pub struct ProjectsPage<'a> {
    /// Whose roles are shown.
    pub person: PersonId,
    /// Whether also those that they are no member of.
    pub all: bool,
    /// The last short name of the page before.
    pub after: Option<&'a str>,
    /// How many at most.
    pub limit: i64,
}

/// A project by its short name, with somebody's role in it.
///
/// # Errors
/// The database fails.
pub async fn project(conn: &mut PgConnection, slug: &str, person: PersonId) -> Result<Option<SeenProject>> {
    let row = sqlx::query!(
        "select p.id, p.slug, p.slots, p.created_at, m.role as \"role?\" from projects p \
         left join project_members m on m.project_id = p.id and m.person_id = $2 where p.slug = $1",
        &*clean(slug),
        person.as_uuid(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(SeenProject {
            id: ProjectId::from_uuid(row.id),
            slug: row.slug,
            slots: u32::try_from(row.slots).unwrap_or_default(),
            created_at: row.created_at,
            role: parse_opt("project_members", "role", row.role.as_deref())?,
        })
    })
    .transpose()
}

/// Somebody's role in a project.
///
/// # Errors
/// The database fails.
pub async fn role(conn: &mut PgConnection, project: ProjectId, person: PersonId) -> Result<Option<ProjectRole>> {
    let role = sqlx::query_scalar!(
        "select role from project_members where project_id = $1 and person_id = $2",
        project.as_uuid(),
        person.as_uuid(),
    )
    .fetch_optional(conn)
    .await?;
    parse_opt("project_members", "role", role.as_deref())
}

/// Projects by short name.
///
/// # Errors
/// The database fails.
pub async fn projects(conn: &mut PgConnection, page: ProjectsPage<'_>) -> Result<Vec<SeenProject>> {
    let rows = sqlx::query!(
        "select p.id, p.slug, p.slots, p.created_at, m.role as \"role?\" from projects p \
         left join project_members m on m.project_id = p.id and m.person_id = $1 \
         where ($2 or m.role is not null) and ($3::text is null or p.slug > $3) order by p.slug limit $4",
        page.person.as_uuid(),
        page.all,
        clean_opt(page.after),
        page.limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(SeenProject {
                id: ProjectId::from_uuid(row.id),
                slug: row.slug,
                slots: u32::try_from(row.slots).unwrap_or_default(),
                created_at: row.created_at,
                role: parse_opt("project_members", "role", row.role.as_deref())?,
            })
        })
        .collect()
}

/// The members of a project, by address.
///
/// # Errors
/// The database fails.
pub async fn list(conn: &mut PgConnection, project: ProjectId, after: Option<&str>, limit: i64) -> Result<Vec<Member>> {
    let rows = sqlx::query!(
        "select m.person_id, m.role, m.added_at, p.email, p.login, p.name from project_members m \
         join people p on p.id = m.person_id \
         where m.project_id = $1 and ($2::text is null or p.email > $2) order by p.email limit $3",
        project.as_uuid(),
        after,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Member {
                person: PersonId::from_uuid(row.person_id),
                email: parse("people", "email", &row.email)?,
                login: row.login,
                name: row.name,
                role: parse("project_members", "role", &row.role)?,
                added_at: row.added_at,
            })
        })
        .collect()
}

/// Gives somebody a role in a project, or another one than before.
///
/// # Errors
/// The database fails; project or person are not there.
pub async fn put(
    conn: &mut PgConnection,
    project: ProjectId,
    person: PersonId,
    role: ProjectRole,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "insert into project_members (project_id, person_id, role, added_at) values ($1, $2, $3, $4) \
         on conflict (project_id, person_id) do update set role = excluded.role",
        project.as_uuid(),
        person.as_uuid(),
        role.as_str(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes somebody out of a project. Says whether they were in it.
///
/// # Errors
/// The database fails.
pub async fn remove(conn: &mut PgConnection, project: ProjectId, person: PersonId) -> Result<bool> {
    let removed = sqlx::query!(
        "delete from project_members where project_id = $1 and person_id = $2",
        project.as_uuid(),
        person.as_uuid(),
    )
    .execute(conn)
    .await?;
    Ok(removed.rows_affected() > 0)
}

/// A member of a project.
///
/// # Errors
/// The database fails.
pub async fn one(conn: &mut PgConnection, project: ProjectId, person: PersonId) -> Result<Option<Member>> {
    let row = sqlx::query!(
        "select m.role, m.added_at, p.email, p.login, p.name from project_members m join people p on p.id = m.person_id \
         where m.project_id = $1 and m.person_id = $2",
        project.as_uuid(),
        person.as_uuid(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(Member {
            person,
            email: parse("people", "email", &row.email)?,
            login: row.login,
            name: row.name,
            role: parse("project_members", "role", &row.role)?,
            added_at: row.added_at,
        })
    })
    .transpose()
}
