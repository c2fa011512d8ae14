//! Store the end, release the slot, wake the next: one transaction, so that there is no moment in between.

use domain::{
    ids::{Attempt, RunId},
    run::Step,
    workflow_id,
};
use serde_json::{Value, json};
use store::{
    CommandKind, PgConnection, audit,
    commands::{self, NewCommand},
    runs, slots, steps,
};
use workflows::messages::Settlement;

use crate::{failure::StepError, platform::Platform, progress};

pub(crate) async fn run(platform: &Platform, settlement: &Settlement) -> Result<(), StepError> {
    let at = settlement.at;
    let end = &settlement.end;
    let now = platform.now();
    let mut tx = platform.store.begin().await?;
    steps::begin(&mut tx, progress::key(at, Step::Settle), now).await?;
    let finish = runs::End { attempt: at.attempt, outcome: end.outcome, cause: &end.cause, now };
    let first = runs::finish(&mut tx, at.run, finish).await?;
    let mut woken = Vec::new();
    for grant in slots::release(&mut tx, at.run, at.attempt, now).await? {
        woken.push(signal_grant(platform, &mut tx, grant.run, grant.attempt).await?);
    }
    steps::done(&mut tx, progress::key(at, Step::Settle), &Value::Null, now).await?;
    if first {
        let event = audit::NewFlowEvent {
            at: now,
            run: Some(at.run),
            repository: None,
            delivery: None,
            actor: "worker",
            kind: "run_finished",
            detail: json!({ "attempt": at.attempt, "outcome": end.outcome, "cause": end.cause }),
        };
        audit::append(&mut tx, event).await?;
    }
    tx.commit().await.map_err(store::StoreError::from)?;
    for workflow in woken {
        platform.dispatcher.spawn(workflow);
    }
    Ok(())
}

async fn signal_grant(
    platform: &Platform,
    tx: &mut PgConnection,
    run: RunId,
    attempt: Attempt,
) -> Result<String, StepError> {
    let workflow_id = workflow_id::agent_run(platform.dispatcher.instance(), run, attempt);
    let command = NewCommand {
        workflow_id: &workflow_id,
        kind: CommandKind::Signal,
        run,
        attempt,
        name: Some("slot_granted"),
        payload: Value::Null,
        now: platform.now(),
    };
    commands::enqueue(tx, command).await?;
    Ok(workflow_id)
}
