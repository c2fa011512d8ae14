//! Versions of agents: what an agent of a repository was, since when.

use chrono::{DateTime, Utc};
use domain::{
    agents::Definition,
    ids::{Attempt, ProjectId, RepositoryId, RunId},
    services_yaml::AgentName,
};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result,
    convert::{self, unsigned},
};

/// A version of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentVersion {
    /// The repository whose settings made it.
    pub repository: RepositoryId,
    /// The agent.
    pub agent: AgentName,
    /// Its number, from 1.
    pub version: u32,
    /// What the agent was.
    pub definition: Definition,
    /// The commit whose settings made it, as far as one is known.
    pub sha: Option<String>,
    /// Since when it is known.
    pub at: DateTime<Utc>,
}

/// A definition that was seen.
#[derive(Clone, Copy, Debug)]
pub struct SeenDefinition<'a> {
    /// The repository.
    pub repository: RepositoryId,
    /// The agent.
    pub agent: &'a AgentName,
    /// What it is.
    pub definition: &'a Definition,
    /// The commit whose settings say so.
    pub sha: Option<&'a str>,
    /// Now.
    pub now: DateTime<Utc>,
}

struct Row {
    repository_id: Uuid,
    agent: String,
    version: i32,
    definition: Value,
    sha: Option<String>,
    at: DateTime<Utc>,
}

impl TryFrom<Row> for AgentVersion {
    type Error = crate::StoreError;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            repository: RepositoryId::from_uuid(row.repository_id),
            agent: convert::parse("agent_versions", "agent", &row.agent)?,
            version: unsigned("agent_versions", "version", row.version)?,
            definition: convert::json("agent_versions", "definition", row.definition)?,
            sha: row.sha,
            at: row.at,
        })
    }
}

/// Notes what the settings of the default branch make of an agent: a new version, if it is another than the newest one. To be done in
/// a transaction: others who note something about the same repository wait for its end.
///
/// # Errors
/// The database fails.
pub async fn note(conn: &mut PgConnection, seen: SeenDefinition<'_>) -> Result<u32> {
    lock(conn, seen.repository).await?;
    let definition = convert::to_json("agent_versions", "definition", seen.definition)?;
    let newest = sqlx::query!(
        "select version, definition = $3 as \"same!\" from agent_versions where repository_id = $1 and agent = $2 \
         order by version desc limit 1",
        seen.repository.as_uuid(),
        seen.agent.as_str(),
        definition,
    )
    .fetch_optional(&mut *conn)
    .await?;
    match newest {
        Some(newest) if newest.same => unsigned("agent_versions", "version", newest.version),
        newest => add(conn, seen, newest.map_or(0, |newest| newest.version) + 1, definition).await,
    }
}

/// The version that this definition is: the newest such one, or a new one. Settings at another commit than the newest of the default
/// branch may be those of long ago. As for transactions, see [`note`].
///
/// # Errors
/// The database fails.
pub async fn find_or_note(conn: &mut PgConnection, seen: SeenDefinition<'_>) -> Result<u32> {
    lock(conn, seen.repository).await?;
    let definition = convert::to_json("agent_versions", "definition", seen.definition)?;
    let found = sqlx::query_scalar!(
        "select max(version) from agent_versions where repository_id = $1 and agent = $2 and definition = $3",
        seen.repository.as_uuid(),
        seen.agent.as_str(),
        definition,
    )
    .fetch_one(&mut *conn)
    .await?;
    match found {
        Some(version) => unsigned("agent_versions", "version", version),
        None => note(conn, seen).await,
    }
}

async fn lock(conn: &mut PgConnection, repository: RepositoryId) -> Result<()> {
    sqlx::query!(
        "select pg_advisory_xact_lock(hashtextextended('agent versions ' || $1::text, 0))",
        repository.to_string()
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn add(conn: &mut PgConnection, seen: SeenDefinition<'_>, version: i32, definition: Value) -> Result<u32> {
    sqlx::query!(
        "insert into agent_versions (repository_id, agent, version, definition, sha, at) values ($1, $2, $3, $4, $5, $6)",
        seen.repository.as_uuid(),
        seen.agent.as_str(),
        version,
        definition,
        convert::clean_opt(seen.sha),
        seen.now,
    )
    .execute(conn)
    .await?;
    unsigned("agent_versions", "version", version)
}

/// The versions of an agent, the newest first, at most so many.
///
/// # Errors
/// The database fails.
pub async fn list(
    conn: &mut PgConnection,
    repository: RepositoryId,
    agent: &AgentName,
    limit: i64,
) -> Result<Vec<AgentVersion>> {
    let rows = sqlx::query_as!(
        Row,
        "select repository_id, agent, version, definition, sha, at from agent_versions \
         where repository_id = $1 and agent = $2 order by version desc limit $3",
        repository.as_uuid(),
        agent.as_str(),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(AgentVersion::try_from).collect()
}

/// The newest version of every agent of a project's repositories.
///
/// # Errors
/// The database fails.
pub async fn newest_in(conn: &mut PgConnection, project: ProjectId) -> Result<Vec<AgentVersion>> {
    let rows = sqlx::query_as!(
        Row,
        "select distinct on (v.repository_id, v.agent) v.repository_id, v.agent, v.version, v.definition, v.sha, v.at \
         from agent_versions v join repositories o on o.id = v.repository_id where o.project_id = $1 \
         order by v.repository_id, v.agent, v.version desc",
        project.as_uuid(),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(AgentVersion::try_from).collect()
}

/// Notes which version an attempt works by.
///
/// # Errors
/// The database fails.
pub async fn set_of_attempt(conn: &mut PgConnection, run: RunId, attempt: Attempt, version: u32) -> Result<()> {
    sqlx::query!(
        "update attempts set agent_version = $3 where run_id = $1 and attempt = $2",
        run.as_uuid(),
        i32::try_from(attempt.0).unwrap_or(i32::MAX),
        i32::try_from(version).unwrap_or(i32::MAX),
    )
    .execute(conn)
    .await?;
    Ok(())
}
