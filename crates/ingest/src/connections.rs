//! Requests about the connections of repositories: stored with the command that starts their workflow.

use domain::{connection::ConnectionPurpose, ids::Instance, workflow_id};
use serde_json::json;
use store::{
    CommandKind, PgConnection, Result,
    commands::{self, About, NewCommand},
    connections::{self, ConnectionWish, NewConnection},
    repositories::Repository,
};
use uuid::Uuid;
use workflows::messages::ConnectionRef;

/// A request about a repository that is known: to look at its credential, unless said otherwise.
#[must_use]
pub fn about<'a>(
    known: &'a Repository,
    wish: &'a ConnectionWish,
    now: chrono::DateTime<chrono::Utc>,
) -> NewConnection<'a> {
    NewConnection {
        id: domain::ids::ConnectionId::from_uuid(Uuid::now_v7()),
        purpose: ConnectionPurpose::Check,
        project: known.project,
        credential: known.credential,
        owner: &known.owner,
        name: &known.name,
        repository: Some(known.id),
        hook: None,
        wish,
        now,
    }
}

/// Stores a request; gives the workflow that has a command now.
///
/// # Errors
/// Something is being done to that repository already ([`store::StoreError::Conflict`]), or the database fails.
pub async fn ask(conn: &mut PgConnection, instance: &Instance, new: NewConnection<'_>) -> Result<String> {
    connections::insert(conn, new).await?;
    let workflow_id = workflow_id::connect_repository(instance, new.id);
    let command = NewCommand {
        workflow_id: &workflow_id,
        kind: CommandKind::Start,
        about: About::Connection(new.id),
        name: Some("ConnectRepository"),
        payload: json!(ConnectionRef { connection: new.id, purpose: new.purpose }),
        now: new.now,
    };
    commands::enqueue(conn, command).await?;
    Ok(workflow_id)
}
