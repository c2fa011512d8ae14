//! Stores how connecting ended.

use domain::{connection::ConnectionPurpose, rights::missing_sentence};
use serde_json::json;
use store::{StoreError, audit, connections, credentials};
use workflows::messages::ConnectionEnd;

use crate::{failure::StepError, platform::Platform};

pub(super) async fn run(platform: &Platform, end: &ConnectionEnd) -> Result<(), StepError> {
    let now = platform.now();
    let mut tx = platform.store.begin().await?;
    let connection = connections::get(&mut tx, end.connection).await?;
    let missing = || missing_sentence(connection.rights.as_deref().unwrap_or_default());
    let failure = end.failure.clone().or_else(missing);
    let full_name = format!("{}/{}", connection.owner, connection.name);
    let connects = connection.purpose == ConnectionPurpose::Connect;
    let ended = match &failure {
        Some(failure) => connections::fail(&mut tx, connection.id, failure, now).await?,
        None if connects => {
            connections::complete(&mut tx, connection.id, &format!("{full_name} is connected."), now).await?
        }
        None => {
            let words = format!("The credential may do everything that is needed in {full_name}.");
            connections::complete(&mut tx, connection.id, &words, now).await?
        }
    };
    if ended && connects {
        if failure.is_some() {
            // Nothing works with it: it is not kept for use.
            credentials::revoke_unused(&mut tx, connection.credential, now).await?;
        }
        let kind = if failure.is_some() { "repository_not_connected" } else { "repository_connected" };
        let event = audit::NewFlowEvent {
            at: now,
            run: None,
            repository: connection.repository,
            delivery: None,
            actor: "worker",
            kind,
            detail: json!({ "name": full_name, "connection": connection.id, "cause": failure }),
        };
        audit::append(&mut tx, event).await?;
    }
    Ok(tx.commit().await.map_err(StoreError::from)?)
}
