//! Every connected repository with what keeps it connected, for people.

use chrono::{DateTime, Utc};
use domain::{
    connection::CredentialKind,
    ids::{CredentialId, RepositoryId},
};
use sqlx::PgConnection;

use crate::{Result, convert};

/// A connected repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// Its id.
    pub repository: RepositoryId,
    /// `owner/name`.
    pub full_name: String,
    /// Short name of its project.
    pub project: String,
    /// Whether nothing can be written to it.
    pub archived: bool,
    /// Its credential; none if it has none.
    pub credential: Option<CredentialInUse>,
    /// Whether a webhook of its own is registered.
    pub has_hook: bool,
    /// Whether its webhook has a secret that the forge may not know yet: the one before is good as well.
    pub secret_pending: bool,
    /// Why the webhook's log at the forge can't be read, where the last look failed.
    pub hook_problem: Option<String>,
    /// When a webhook about it last came.
    pub last_delivery_at: Option<DateTime<Utc>>,
    /// Whether it has settings that could be read.
    pub has_config: bool,
    /// What is wrong with the newest settings.
    pub config_error: Option<String>,
    /// Since when it is detached; none if it is attached.
    pub detached_at: Option<DateTime<Utc>>,
}

/// The credential of a connected repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialInUse {
    /// Its id.
    pub id: CredentialId,
    /// Its kind.
    pub kind: CredentialKind,
    /// Whom it acts as, as far as known.
    pub login: Option<String>,
    /// When it ends, as the forge last told.
    pub expires_at: Option<DateTime<Utc>>,
    /// Since when it must not be used any more.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// Every repository that is connected or was, by name.
///
/// # Errors
/// The database fails.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<Connected>> {
    let rows = sqlx::query!(
        "select r.id, r.owner || '/' || r.name as \"full_name!\", p.slug, r.archived, c.id as \"credential_id?\", \
             c.kind as \"kind?\", c.login, c.expires_at, c.revoked_at, r.config is not null as \"has_config!\", \
             r.config_error, r.detached_at, exists (select from hooks h where h.repository_id = r.id) as \"has_hook!\", \
             exists (select from hooks h where h.repository_id = r.id and h.secret_previous is not null) \
                 as \"secret_pending!\", \
             (select h.look_problem from hooks h where h.repository_id = r.id and h.look_problem is not null limit 1) \
                 as hook_problem, \
             (select d.received_at from deliveries d where d.repository_id = r.id order by d.received_at desc limit 1) \
                 as last_delivery_at \
         from repositories r join projects p on p.id = r.project_id left join credentials c on c.id = r.credential_id \
         order by lower(r.owner), lower(r.name), r.detached_at desc nulls first"
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let kind = convert::parse_opt("credentials", "kind", row.kind.as_deref())?;
            Ok(Connected {
                repository: RepositoryId::from_uuid(row.id),
                full_name: row.full_name,
                project: row.slug,
                archived: row.archived,
                credential: row.credential_id.zip(kind).map(|(id, kind)| CredentialInUse {
                    id: CredentialId::from_uuid(id),
                    kind,
                    login: row.login,
                    expires_at: row.expires_at,
                    revoked_at: row.revoked_at,
                }),
                has_hook: row.has_hook,
                last_delivery_at: row.last_delivery_at,
                has_config: row.has_config,
                config_error: row.config_error,
                secret_pending: row.secret_pending,
                hook_problem: row.hook_problem,
                detached_at: row.detached_at,
            })
        })
        .collect()
}
