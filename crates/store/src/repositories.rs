//! Projects and the repositories they connect.

use chrono::{DateTime, Utc};
use domain::ids::{CredentialId, ProjectId, RepositoryId, RunId};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, StoreError, convert};

/// A project.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its short name.
    pub slug: String,
    /// How many of its runs may work at once.
    pub slots: u32,
    /// What staff chose; read by the domain.
    pub settings: Value,
    /// Since when it is there.
    pub created_at: DateTime<Utc>,
}

/// A project to be made.
#[derive(Clone, Debug)]
pub struct NewProject<'a> {
    /// Its short name, unique.
    pub slug: &'a str,
    /// How many of its runs may work at once.
    pub slots: u32,
    /// What staff chose.
    pub settings: Value,
    /// Now.
    pub now: DateTime<Utc>,
}

/// A connected repository.
#[derive(Clone, Debug, PartialEq)]
pub struct Repository {
    /// Its id; survives renames.
    pub id: RepositoryId,
    /// The project that it belongs to.
    pub project: ProjectId,
    /// Short name of that project.
    pub project_slug: String,
    /// The forge's id; survives renames too.
    pub forge_repo_id: i64,
    /// Login of the owner.
    pub owner: String,
    /// Its name.
    pub name: String,
    /// The branch that pull requests go to.
    pub default_branch: String,
    /// Whether outsiders can't see it.
    pub private: bool,
    /// Whether nothing can be written to it.
    pub archived: bool,
    /// What we write with.
    pub credential: Option<CredentialId>,
    /// `services.yaml` of the default branch, parsed, as it was last read without error.
    pub config: Option<Value>,
    /// The commit at which it was last looked at.
    pub config_sha: Option<String>,
    /// What is wrong with the newest one.
    pub config_error: Option<String>,
    /// Since when it is connected.
    pub created_at: DateTime<Utc>,
    /// Since when it is detached; none if it is attached.
    pub detached_at: Option<DateTime<Utc>>,
}

impl Repository {
    /// `owner/name`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }
}

/// A repository as the forge describes it.
#[derive(Clone, Copy, Debug)]
pub struct NewRepository<'a> {
    /// The project that it belongs to; one that is connected already stays where it is.
    pub project: ProjectId,
    /// The forge's id.
    pub forge_repo_id: i64,
    /// Login of the owner.
    pub owner: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The branch that pull requests go to.
    pub default_branch: &'a str,
    /// Whether outsiders can't see it.
    pub private: bool,
    /// Whether nothing can be written to it.
    pub archived: bool,
    /// What we write with; none keeps what there is.
    pub credential: Option<CredentialId>,
    /// Now.
    pub now: DateTime<Utc>,
}

struct Row {
    id: Uuid,
    project_id: Uuid,
    project_slug: String,
    forge_repo_id: i64,
    owner: String,
    name: String,
    default_branch: String,
    private: bool,
    archived: bool,
    credential_id: Option<Uuid>,
    config: Option<Value>,
    config_sha: Option<String>,
    config_error: Option<String>,
    created_at: DateTime<Utc>,
    detached_at: Option<DateTime<Utc>>,
}

impl From<Row> for Repository {
    fn from(row: Row) -> Self {
        Self {
            id: RepositoryId::from_uuid(row.id),
            project: ProjectId::from_uuid(row.project_id),
            project_slug: row.project_slug,
            forge_repo_id: row.forge_repo_id,
            owner: row.owner,
            name: row.name,
            default_branch: row.default_branch,
            private: row.private,
            archived: row.archived,
            credential: row.credential_id.map(CredentialId::from_uuid),
            config: row.config,
            config_sha: row.config_sha,
            config_error: row.config_error,
            created_at: row.created_at,
            detached_at: row.detached_at,
        }
    }
}

/// The columns of [`Row`], written once.
macro_rules! select_repositories {
    ($tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            "select id, project_id, (select slug from projects p where p.id = project_id) as \"project_slug!\", forge_repo_id, \
             owner, name, default_branch, private, archived, credential_id, config, config_sha, config_error, created_at, \
             detached_at from repositories " + $tail
            $(, $argument)*
        )
    };
}

/// The repository that the forge knows by this id: the attached one; else the one that was detached last.
///
/// # Errors
/// The database fails.
pub async fn find_by_forge_id(conn: &mut PgConnection, forge_repo_id: i64) -> Result<Option<Repository>> {
    let row =
        select_repositories!("where forge_repo_id = $1 order by detached_at desc nulls first limit 1", forge_repo_id)
            .fetch_optional(conn)
            .await?;
    Ok(row.map(Repository::from))
}

/// The repository of this id.
///
/// # Errors
/// There is none, or the database fails.
pub async fn get(conn: &mut PgConnection, id: RepositoryId) -> Result<Repository> {
    let row = select_repositories!("where id = $1", id.as_uuid()).fetch_optional(conn).await?;
    row.map(Repository::from).ok_or_else(|| StoreError::missing("repository", &id))
}

/// What we write with to the repository of a run.
///
/// # Errors
/// There is no such run, or the database fails.
pub async fn credential_of_run(conn: &mut PgConnection, run: RunId) -> Result<Option<CredentialId>> {
    let credential = sqlx::query_scalar!(
        "select credential_id from repositories where id = (select repository_id from runs where id = $1)",
        run.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    let credential = credential.ok_or_else(|| StoreError::missing("run", &run))?;
    Ok(credential.map(CredentialId::from_uuid))
}

/// The repository of this name, if it is attached.
///
/// # Errors
/// The database fails.
pub async fn find_by_name(conn: &mut PgConnection, owner: &str, name: &str) -> Result<Option<Repository>> {
    let (owner, name) = (convert::clean(owner), convert::clean(name));
    let row = select_repositories!(
        "where lower(owner) = lower($1) and lower(name) = lower($2) and detached_at is null",
        &owner,
        &name
    );
    Ok(row.fetch_optional(conn).await?.map(Repository::from))
}

/// Every attached repository, by name.
///
/// # Errors
/// The database fails.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<Repository>> {
    let rows =
        select_repositories!("where detached_at is null order by lower(owner), lower(name)").fetch_all(conn).await?;
    Ok(rows.into_iter().map(Repository::from).collect())
}

/// The attached repositories of a project, by name.
///
/// # Errors
/// The database fails.
pub async fn of_project(conn: &mut PgConnection, project: ProjectId) -> Result<Vec<Repository>> {
    let rows = select_repositories!(
        "where project_id = $1 and detached_at is null order by lower(owner), lower(name)",
        project.as_uuid()
    );
    Ok(rows.fetch_all(conn).await?.into_iter().map(Repository::from).collect())
}

/// Makes a project, or finds the one of that name, which keeps its settings.
///
/// # Errors
/// The database fails.
pub async fn insert_project(conn: &mut PgConnection, new: NewProject<'_>) -> Result<ProjectId> {
    let id = sqlx::query_scalar!(
        "insert into projects (id, slug, slots, settings, created_at) values ($1, $2, $3, $4, $5) \
         on conflict (slug) do update set slug = excluded.slug returning id",
        Uuid::now_v7(),
        new.slug,
        i32::try_from(new.slots).unwrap_or(i32::MAX),
        &*convert::clean_json(&new.settings),
        new.now,
    )
    .fetch_one(conn)
    .await?;
    Ok(ProjectId::from_uuid(id))
}

/// The project of this id.
///
/// # Errors
/// There is none, or the database fails.
pub async fn get_project(conn: &mut PgConnection, id: ProjectId) -> Result<Project> {
    let row = sqlx::query!("select slug, slots, settings, created_at from projects where id = $1", id.as_uuid())
        .fetch_optional(conn)
        .await?
        .ok_or_else(|| StoreError::missing("project", &id))?;
    Ok(Project {
        id,
        slug: row.slug,
        slots: convert::unsigned("projects", "slots", row.slots)?,
        settings: row.settings,
        created_at: row.created_at,
    })
}

/// Whether there is a project of this short name.
///
/// # Errors
/// The database fails.
pub async fn has_project(conn: &mut PgConnection, slug: &str) -> Result<bool> {
    let there = sqlx::query_scalar!(
        "select exists (select from projects where slug = $1) as \"there!\"",
        &*convert::clean(slug)
    );
    Ok(there.fetch_one(conn).await?)
}

/// Sets how many runs of a project may work at once. More slots are filled by [`crate::slots::grant_waiting`].
///
/// # Errors
/// The database fails.
pub async fn set_slots(conn: &mut PgConnection, project: ProjectId, slots: u32) -> Result<()> {
    let slots = i32::try_from(slots).unwrap_or(i32::MAX);
    sqlx::query!("update projects set slots = $2 where id = $1", project.as_uuid(), slots).execute(conn).await?;
    Ok(())
}

/// Connects a repository, or brings what is known of it up to date. One that the project had detached is attached again; one that
/// another project had detached stays there, with all its runs, and the project gets a row of its own.
///
/// # Errors
/// Another repository has its name ([`StoreError::Conflict`]), or the database fails.
pub async fn upsert_repository(conn: &mut PgConnection, new: NewRepository<'_>) -> Result<RepositoryId> {
    sqlx::query!(
        "update repositories set detached_at = null where forge_repo_id = $1 and project_id = $2 and detached_at is not null \
             and not exists (select from repositories o where o.forge_repo_id = $1 and o.detached_at is null)",
        new.forge_repo_id,
        new.project.as_uuid(),
    )
    .execute(&mut *conn)
    .await?;
    let id = sqlx::query_scalar!(
        "insert into repositories (id, project_id, forge_repo_id, owner, name, default_branch, private, archived, \
             credential_id, created_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
         on conflict (forge_repo_id) where detached_at is null do update set owner = excluded.owner, name = excluded.name, \
             default_branch = excluded.default_branch, private = excluded.private, archived = excluded.archived, \
             credential_id = coalesce(excluded.credential_id, repositories.credential_id) \
         returning id",
        Uuid::now_v7(),
        new.project.as_uuid(),
        new.forge_repo_id,
        new.owner,
        new.name,
        new.default_branch,
        new.private,
        new.archived,
        new.credential.map(CredentialId::as_uuid),
        new.now,
    )
    .fetch_one(conn)
    .await?;
    Ok(RepositoryId::from_uuid(id))
}

/// Stores what was read from `services.yaml` at a commit. While it can't be read (`error`), the last good configuration
/// stays; `config` is none without an error if the file is not there.
///
/// # Errors
/// The database fails.
pub async fn set_config(
    conn: &mut PgConnection,
    id: RepositoryId,
    config: Option<Value>,
    sha: &str,
    error: Option<&str>,
) -> Result<()> {
    let config = config.as_ref().map(convert::clean_json);
    sqlx::query!(
        "update repositories set config_error = $4, config_sha = $3, \
             config = case when $4::text is null then $2::jsonb else config end \
         where id = $1",
        id.as_uuid(),
        config.as_deref(),
        sha,
        convert::clean_opt(error),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that a repository is detached: from now on nothing starts there. The first time counts.
///
/// # Errors
/// The database fails.
pub async fn detach(conn: &mut PgConnection, id: RepositoryId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update repositories set detached_at = coalesce(detached_at, $2), config_wanted_sha = null where id = $1",
        id.as_uuid(),
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes the credential from a detached repository; gives the one it had. One that was attached again meanwhile keeps its own.
///
/// # Errors
/// The database fails.
pub async fn take_credential(conn: &mut PgConnection, id: RepositoryId) -> Result<Option<CredentialId>> {
    let had = sqlx::query_scalar!(
        "with had as (select credential_id from repositories where id = $1 and detached_at is not null for update) \
         update repositories r set credential_id = null from had where r.id = $1 returning had.credential_id",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(had.flatten().map(CredentialId::from_uuid))
}

/// Follows a rename or a transfer.
///
/// # Errors
/// Another repository has that name ([`StoreError::Conflict`]), or the database fails.
pub async fn rename(conn: &mut PgConnection, id: RepositoryId, owner: &str, name: &str) -> Result<()> {
    sqlx::query!("update repositories set owner = $2, name = $3 where id = $1", id.as_uuid(), owner, name)
        .execute(conn)
        .await?;
    Ok(())
}

/// Notes that a repository was archived, or is no longer.
///
/// # Errors
/// The database fails.
pub async fn set_archived(conn: &mut PgConnection, id: RepositoryId, archived: bool) -> Result<()> {
    sqlx::query!("update repositories set archived = $2 where id = $1", id.as_uuid(), archived).execute(conn).await?;
    Ok(())
}

/// What a repository and its project are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The repository.
    pub id: RepositoryId,
    /// Login of the owner.
    pub owner: String,
    /// Its name.
    pub name: String,
    /// The project's short name.
    pub project: String,
}

impl Names {
    /// `owner/name`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }
}

/// What these repositories and their projects are called.
///
/// # Errors
/// The database fails.
pub async fn names(conn: &mut PgConnection, ids: &[RepositoryId]) -> Result<Vec<Names>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query!(
        "select o.id, o.owner, o.name, p.slug from repositories o join projects p on p.id = o.project_id \
         where o.id = any($1)",
        &ids
    )
    .fetch_all(conn)
    .await?;
    let names = |id, owner, name, project| Names { id: RepositoryId::from_uuid(id), owner, name, project };
    Ok(rows.into_iter().map(|row| names(row.id, row.owner, row.name, row.slug)).collect())
}
