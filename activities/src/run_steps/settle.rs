//! Store the end, release the slot, wake the next: one transaction, so that there is no moment in between.
//!
//! A retry that is refused at its very beginning changes nothing about the run: it keeps the end that it had.

use domain::{
    policy,
    run::{Outcome, Step},
};
use serde_json::{Value, json};
use store::{PgConnection, attempts, audit, job_failures, runs, slots, steps};
use workflows::messages::{RunRef, Settlement};

use crate::{failure::StepError, platform::Platform, progress, slot_grants};

/// Stores the end and releases the slot.
///
/// # Errors
/// See [`StepError`].
pub async fn run(platform: &Platform, settlement: &Settlement) -> Result<(), StepError> {
    let at = settlement.at;
    let end = &settlement.end;
    let now = platform.now();
    let mut tx = platform.store.begin().await?;
    steps::begin(&mut tx, progress::key(at, Step::Settle), now).await?;
    let finish = runs::End { attempt: at.attempt, outcome: end.outcome, cause: &end.cause, now };
    let refused_at_once =
        end.outcome == Outcome::Refused && runs::get(&mut tx, at.run).await?.step == Some(Step::Authorise);
    let withdrawn = refused_at_once && runs::withdraw(&mut tx, at.run, finish).await?;
    let first = withdrawn || runs::finish(&mut tx, at.run, finish).await?;
    let grants = slots::release(&mut tx, at.run, at.attempt, now).await?;
    let woken = slot_grants::signal(platform, &mut tx, grants).await?;
    steps::done(&mut tx, progress::key(at, Step::Settle), &Value::Null, now).await?;
    let mut gone_on = None;
    if first {
        let kind = if withdrawn { "retry_refused" } else { "run_finished" };
        let detail = json!({ "attempt": at.attempt, "outcome": end.outcome, "cause": end.cause });
        let event = audit::NewFlowEvent { run: Some(at.run), ..audit::NewFlowEvent::new(now, "worker", kind, detail) };
        audit::append(&mut tx, event).await?;
        if end.outcome == Outcome::Lost {
            gone_on = go_on(platform, &mut tx, at).await?;
        }
    }
    tx.commit().await.map_err(store::StoreError::from)?;
    platform.store.ring(at.run);
    if first {
        platform.telemetry.metrics.run_ended(end.outcome);
    }
    slot_grants::deliver(platform, woken.into_iter().chain(gone_on).collect());
    Ok(())
}

/// Begins the next attempt where policy says so; gives the workflow to be started once the transaction is through.
async fn go_on(platform: &Platform, tx: &mut PgConnection, at: RunRef) -> Result<Option<String>, StepError> {
    let Some(failure) = job_failures::get(tx, at.run, at.attempt).await? else { return Ok(None) };
    let lost = job_failures::in_a_row(tx, at.run).await?;
    let cancelled = attempts::get(tx, at.run, at.attempt).await?.cancel_requested_at.is_some();
    if cancelled || !policy::goes_on_by_itself(failure.class, lost) {
        return Ok(None);
    }
    let (instance, now) = (platform.dispatcher.instance(), platform.now());
    let Some(gone_on) = ingest::go_on(tx, (at.run, at.attempt), instance, now).await? else { return Ok(None) };
    if let Some((_, begun)) = gone_on.audit {
        let detail = json!({ "after": failure.class, "begun": begun });
        let event = audit::NewFlowEvent {
            run: Some(at.run),
            ..audit::NewFlowEvent::new(now, "worker", "gone_on_by_itself", detail)
        };
        audit::append(tx, event).await?;
    }
    Ok(gone_on.workflow_id)
}
