//! Settles runs whose workflow is gone: terminated in the engine's own UI, timed out, or forgotten; and those that nothing was
//! heard of until their deadline, whatever their workflow does.
//!
//! A reconciler: idempotent, no retries of its own. It only asks the engine about runs that the database holds for unfinished, so a run
//! that settles itself is never touched. Of hundreds nearly all are well: every few seconds the engine is asked once, which workflows were
//! closed of late, and about each only now and then.

use std::{collections::HashSet, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use dispatch::{AGENT_RUN, EngineError};
use domain::{run::Outcome, sentences, workflow_id};
use store::runs::{self, Run};
use workflows::messages::{RunEnd, RunRef, Settlement};

use crate::{
    failure::StepError,
    platform::Platform,
    run_steps,
    sweeps::{self, Seen, pause_after},
};

/// How often is looked. Comment, label and row must agree within 10 s of any end.
const PERIOD: Duration = Duration::from_secs(4);

/// How often each run is asked about: so long may one go unnoticed that the engine has forgotten, or does not list.
const WHOLE: TimeDelta = TimeDelta::seconds(60);

/// The engine's list is behind, and its clock may be: what was closed so long before the last look is asked for once more.
const OVERLAP: TimeDelta = TimeDelta::seconds(60);

/// A workflow that was just started, or is just closing, is left alone.
const YOUNG: TimeDelta = TimeDelta::seconds(10);

/// Every unfinished run has a deadline before this.
const EVER: TimeDelta = TimeDelta::days(3650);

/// Looks again and again until dropped.
pub async fn keep(platform: &Platform) {
    let mut looks = Looks::default();
    loop {
        pause_after(looks.look(platform).await, "lost runs", PERIOD).await;
    }
}

/// When what was looked at last.
#[derive(Default)]
struct Looks {
    /// Each run was asked about.
    whole: Option<DateTime<Utc>>,
    /// The engine said what it had closed.
    closed: Option<DateTime<Utc>>,
}

impl Looks {
    /// Looks once. An engine that is away ends no run.
    async fn look(&mut self, platform: &Platform) -> Result<(), StepError> {
        let now = platform.now();
        let unfinished = runs::unfinished_before(&mut *platform.store.acquire().await?, now + EVER).await?;
        let is_whole = self.whole.is_none_or(|last| now - last >= WHOLE);
        let closed = self.closed(platform, now).await;
        for run in unfinished.iter().filter(|run| now - run.created_at > YOUNG) {
            let id = workflow_id::agent_run(platform.dispatcher.instance(), run.id, run.attempt);
            if (is_whole || is_due(run, now) || closed.as_ref().is_some_and(|closed| closed.contains(&id)))
                && let Some(cause) = cause_of_death(platform, run, &id, now).await?
            {
                settle(platform, run, cause).await?;
            }
        }
        // An engine that was away was asked in vain.
        if is_whole && closed.is_some() {
            self.whole = Some(now);
        }
        Ok(())
    }

    /// What the engine has closed of late. None where it can't be asked: the next look asks for as much more.
    async fn closed(&mut self, platform: &Platform, now: DateTime<Utc>) -> Option<HashSet<String>> {
        let since = self.closed.unwrap_or(now) - OVERLAP;
        match platform.dispatcher.engine().closed_since(AGENT_RUN, since).await {
            Ok(ids) => {
                self.closed = Some(now);
                Some(ids.into_iter().collect())
            }
            Err(error @ EngineError::Refused(_)) => {
                tracing::warn!(%error, "the engine does not say which workflows were closed");
                None
            }
            Err(error) => {
                tracing::debug!(%error, "the engine can't be asked which workflows were closed");
                None
            }
        }
    }
}

fn is_due(run: &Run, now: DateTime<Utc>) -> bool {
    run.deadline_at.is_some_and(|at| at <= now)
}

/// None while the workflow lives and was heard of, or may still be on its way.
async fn cause_of_death(
    platform: &Platform,
    run: &Run,
    workflow_id: &str,
    now: DateTime<Utc>,
) -> Result<Option<String>, StepError> {
    let cause = match sweeps::seen(platform, workflow_id).await {
        Seen::AtWork if is_due(run, now) => return unheard_of(platform, run, workflow_id, now).await,
        Seen::AtWork | Seen::Unasked => return Ok(None),
        Seen::Gone(cause) => cause,
    };
    if sweeps::is_on_its_way(platform, workflow_id).await? {
        return Ok(None);
    }
    // A run that has settled meanwhile is no loss.
    let row = runs::get(&mut *platform.store.acquire().await?, run.id).await?;
    Ok((row.outcome.is_none() && row.attempt == run.attempt).then_some(cause))
}

/// A workflow that is open but stuck: its deadline has come, and nothing moved it. It is ended in the engine first, so that
/// it can't go on for a run that is over.
async fn unheard_of(
    platform: &Platform,
    run: &Run,
    workflow_id: &str,
    now: DateTime<Utc>,
) -> Result<Option<String>, StepError> {
    let row = runs::get(&mut *platform.store.acquire().await?, run.id).await?;
    if row.outcome.is_some() || row.attempt != run.attempt || !is_due(&row, now) {
        return Ok(None);
    }
    let cause = match row.step {
        Some(step) => sentences::not_heard_of(step.describe()),
        None => sentences::not_heard_of_before().to_owned(),
    };
    match platform.dispatcher.engine().terminate(workflow_id, &cause).await {
        Ok(_) => Ok(Some(cause)),
        Err(error) => {
            tracing::warn!(workflow_id, error = %error, "a stuck workflow could not be ended");
            Ok(None)
        }
    }
}

async fn settle(platform: &Platform, run: &Run, cause: String) -> Result<(), StepError> {
    let at = RunRef { run: run.id, attempt: run.attempt };
    tracing::warn!(run = %run.id, attempt = %run.attempt, cause, "settling a lost run");
    run_steps::stop_job::run(platform, at).await?;
    let end = RunEnd { outcome: Outcome::Lost, cause };
    run_steps::settle::run(platform, &Settlement { at, end }).await?;
    // An end that can't be shown now is owed; what was kept of the run is not to wait for that.
    let shown = run_steps::show_state::run(platform, at).await;
    run_steps::archive_logs::run(platform, at).await?;
    run_steps::archive_history::run(platform, at).await?;
    shown.map(drop)
}
