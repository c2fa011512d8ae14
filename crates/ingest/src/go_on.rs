//! A run that goes on by itself: its Job was lost to something that passes.

use chrono::{DateTime, Utc};
use domain::{
    event::Sender,
    ids::{Attempt, Instance, RunId},
    run::Step,
    triggers::{BusinessKey, EarlierWork, RetryRun},
};
use serde_json::Value;
use store::{PgConnection, Result, attempts, checkpoints, runs::RetryError};

use crate::effects::begin_attempt;

/// What was begun.
#[derive(Clone, Debug, PartialEq)]
pub struct GoneOn {
    /// The workflow that has a start to be delivered.
    pub workflow_id: Option<String>,
    /// A word and the particulars for the audit.
    pub audit: Option<(&'static str, Value)>,
}

/// Begins the next attempt of a run that has just ended as lost: from the launch, with the last work that was kept, for the
/// person who asked for the lost one. None if it was begun before, or another run is at work there.
///
/// # Errors
/// The database fails.
pub async fn go_on(
    conn: &mut PgConnection,
    lost: (RunId, Attempt),
    instance: &Instance,
    now: DateTime<Utc>,
) -> Result<Option<GoneOn>> {
    let (run, attempt) = lost;
    let asked = attempts::requester(conn, run, attempt).await?;
    let kept = checkpoints::newest(conn, run).await?;
    let retry = RetryRun {
        business_key: BusinessKey::after_lost(run, attempt),
        run,
        from: Some(Step::Launch),
        earlier_work: kept.map_or(EarlierWork::NoneKept, |kept| EarlierWork::Kept(kept.attempt)),
        requested_by: Sender { id: asked.id, login: asked.login, is_bot: asked.is_bot },
        at: now,
    };
    match begin_attempt(conn, &retry, (instance, now)).await {
        Ok(done) => Ok(Some(GoneOn { workflow_id: done.workflow_id, audit: done.audit })),
        Err(RetryError::Store(error)) => Err(error),
        Err(RetryError::SameKey { .. } | RetryError::Unfinished | RetryError::SubjectBusy(_)) => Ok(None),
    }
}
