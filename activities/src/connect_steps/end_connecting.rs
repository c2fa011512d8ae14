//! Stores how connecting ended, or whatever else was done to a connection.

use domain::{connection::ConnectionPurpose, rights::missing_sentence, sentences};
use serde_json::json;
use store::{
    PgConnection, StoreError, audit,
    connections::{self, Connection},
    credentials,
};
use workflows::messages::ConnectionEnd;

use crate::{failure::StepError, platform::Platform};

pub(super) async fn run(platform: &Platform, end: &ConnectionEnd) -> Result<(), StepError> {
    let now = platform.now();
    let mut tx = platform.store.begin().await?;
    let connection = connections::get(&mut tx, end.connection).await?;
    let missing = || missing_sentence(connection.rights.as_deref().unwrap_or_default());
    let failure = end.failure.clone().or_else(missing);
    let ended = match &failure {
        Some(failure) => connections::fail(&mut tx, connection.id, failure, now).await?,
        None => {
            let words = done_words(&connection, end.left.as_deref());
            connections::complete(&mut tx, connection.id, &words, now).await?
        }
    };
    if ended {
        if let (Some(_), ConnectionPurpose::Connect, Some(credential)) =
            (&failure, connection.purpose, connection.credential)
        {
            // Nothing works with it: it is not kept for use.
            credentials::revoke_unused(&mut tx, credential, now).await?;
        }
        note(&mut tx, &connection, (failure.as_deref(), end.left.as_deref()), now).await?;
    }
    Ok(tx.commit().await.map_err(StoreError::from)?)
}

fn full_name(connection: &Connection) -> String {
    format!("{}/{}", connection.owner, connection.name)
}

fn done_words(connection: &Connection, left: Option<&str>) -> String {
    let name = full_name(connection);
    match (connection.purpose, left) {
        (ConnectionPurpose::Connect, _) => sentences::repository_connected(name),
        (ConnectionPurpose::Check, _) => sentences::rights_complete(name),
        (ConnectionPurpose::Rotate, _) => sentences::secret_renewed(name),
        (ConnectionPurpose::Detach, None) => sentences::repository_detached_now(name),
        (ConnectionPurpose::Detach, Some(left)) => sentences::repository_detached_with_hook(name, left),
    }
}

/// For the audit; a look changes nothing and is not worth a word.
async fn note(
    conn: &mut PgConnection,
    connection: &Connection,
    (failure, left): (Option<&str>, Option<&str>),
    now: chrono::DateTime<chrono::Utc>,
) -> Result<(), StepError> {
    let kind = match (connection.purpose, failure) {
        (ConnectionPurpose::Check, _) => return Ok(()),
        (ConnectionPurpose::Connect, None) => "repository_connected",
        (ConnectionPurpose::Connect, Some(_)) => "repository_not_connected",
        (ConnectionPurpose::Rotate, None) => "hook_secret_renewed",
        (ConnectionPurpose::Rotate, Some(_)) => "hook_secret_not_renewed",
        (ConnectionPurpose::Detach, None) => "repository_detached",
        (ConnectionPurpose::Detach, Some(_)) => "repository_not_detached",
    };
    let detail = json!({
        "name": full_name(connection), "connection": connection.id, "cause": failure, "left": left,
        "reason": connection.wish.reason, "asked_by": connection.wish.by.as_ref().map(|(login, _)| login),
    });
    let event = audit::NewFlowEvent {
        repository: connection.repository,
        project: connection.repository.is_none().then_some(connection.project),
        ..audit::NewFlowEvent::new(now, "worker", kind, detail)
    };
    Ok(audit::append(conn, event).await?)
}
