//! Waking the runs that free slots go to: the signal is stored in the transaction that grants the slot.

use chrono::{DateTime, Utc};
use domain::{ids::Instance, workflow_id};
use serde_json::Value;
use store::{
    CommandKind, PgConnection, Result,
    commands::{self, About, NewCommand},
    slots::Grant,
};

/// Stores a signal for each grant; gives the workflows to be told once the transaction is through.
///
/// # Errors
/// The database fails.
pub async fn signal(
    conn: &mut PgConnection,
    grants: Vec<Grant>,
    (instance, now): (&Instance, DateTime<Utc>),
) -> Result<Vec<String>> {
    let mut woken = Vec::with_capacity(grants.len());
    for Grant { run, attempt } in grants {
        let workflow_id = workflow_id::agent_run(instance, run, attempt);
        let command = NewCommand {
            workflow_id: &workflow_id,
            kind: CommandKind::Signal,
            about: About::Run(run, attempt),
            name: Some("slot_granted"),
            payload: Value::Null,
            now,
        };
        commands::enqueue(conn, command).await?;
        woken.push(workflow_id);
    }
    Ok(woken)
}
