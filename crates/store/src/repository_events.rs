//! What webhooks say about connected repositories.

use domain::ids::RepositoryId;
use sqlx::PgConnection;

use crate::{Result, convert::clean_opt};

/// What a webhook shows of a repository; what is none stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen<'a> {
    /// Login of the owner, and name.
    pub full_name: Option<(&'a str, &'a str)>,
    /// The branch that pull requests go to.
    pub default_branch: Option<&'a str>,
    /// Whether outsiders can't see it.
    pub private: Option<bool>,
    /// Whether nothing can be written to it.
    pub archived: Option<bool>,
}

/// Brings what is known of a repository up to date. A name that another one still has is not taken, and the answer is
/// false: that one is about to be renamed itself, and the next event of this one settles it.
///
/// # Errors
/// The database fails.
pub async fn update_seen(conn: &mut PgConnection, id: RepositoryId, seen: Seen<'_>) -> Result<bool> {
    let (owner, name) = seen.full_name.unzip();
    let named = sqlx::query_scalar!(
        "with taken as ( \
             select exists (select from repositories \
                 where lower(owner) = lower($2) and lower(name) = lower($3) and id <> $1 and detached_at is null) as is_taken) \
         update repositories r set \
             owner = case when taken.is_taken then r.owner else coalesce($2, r.owner) end, \
             name = case when taken.is_taken then r.name else coalesce($3, r.name) end, \
             default_branch = coalesce($4, r.default_branch), private = coalesce($5, r.private), \
             archived = coalesce($6, r.archived) \
         from taken where r.id = $1 returning not taken.is_taken as \"named!\"",
        id.as_uuid(),
        clean_opt(owner),
        clean_opt(name),
        clean_opt(seen.default_branch),
        seen.private,
        seen.archived,
    )
    .fetch_optional(conn)
    .await?;
    Ok(named.unwrap_or(false))
}

/// Asks for `services.yaml` to be read again, at this commit of the default branch.
///
/// # Errors
/// The database fails.
pub async fn want_config(conn: &mut PgConnection, id: RepositoryId, sha: &str) -> Result<()> {
    sqlx::query!("update repositories set config_wanted_sha = $2 where id = $1", id.as_uuid(), clean_opt(Some(sha)))
        .execute(conn)
        .await?;
    Ok(())
}

/// Repositories whose `services.yaml` should be read again, each with the commit; at most 100.
///
/// # Errors
/// The database fails.
pub async fn wanting_config(conn: &mut PgConnection) -> Result<Vec<(RepositoryId, String)>> {
    let rows = sqlx::query!(
        "select id, config_wanted_sha as \"sha!\" from repositories \
         where config_wanted_sha is not null and config_wanted_sha is distinct from config_sha limit 100"
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (RepositoryId::from_uuid(row.id), row.sha)).collect())
}
