//! Waking the runs that free slots go to: the signal is stored in the transaction that grants the slot.

use domain::workflow_id;
use serde_json::Value;
use store::{
    CommandKind, PgConnection,
    commands::{self, About, NewCommand},
    slots::Grant,
};

use crate::{failure::StepError, platform::Platform};

/// Stores a signal for each grant; gives the workflows to be told once the transaction is through.
///
/// # Errors
/// When the database is away.
pub async fn signal(platform: &Platform, tx: &mut PgConnection, grants: Vec<Grant>) -> Result<Vec<String>, StepError> {
    let mut woken = Vec::with_capacity(grants.len());
    for Grant { run, attempt } in grants {
        let workflow_id = workflow_id::agent_run(platform.dispatcher.instance(), run, attempt);
        let command = NewCommand {
            workflow_id: &workflow_id,
            kind: CommandKind::Signal,
            about: About::Run(run, attempt),
            name: Some("slot_granted"),
            payload: Value::Null,
            now: platform.now(),
        };
        commands::enqueue(tx, command).await?;
        woken.push(workflow_id);
    }
    Ok(woken)
}

/// Delivers, once the transaction is through.
pub fn deliver(platform: &Platform, woken: Vec<String>) {
    for workflow in woken {
        platform.dispatcher.spawn(workflow);
    }
}
