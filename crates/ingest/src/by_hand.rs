//! What staff ask for by hand: the same effects as those of comments, without a delivery.

use chrono::{DateTime, Utc};
use domain::{
    commands::RetryFrom,
    event::{self, Event, EventKind, HandWish, Sender, Subject},
    ids::{Instance, RunId},
    run::{RunState, Step},
    triggers::{BusinessKey, CancelRequest, DeliverySource, EarlierWork, RetryRun, VerdictKind},
};
use serde_json::json;
use store::{
    PgConnection, Result, StoreError,
    audit::{self, NewFlowEvent},
    checkpoints,
    deliveries::NO_HOOK,
    locks::{self, Turn},
    pauses,
    repositories::{self, Repository},
    runs::{self, RetryError, Run},
};

use crate::{
    effects::{Done, ask_to_end, begin_attempt},
    record::{Arrival, record_within},
};

/// Somebody who asks.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// Their account on the forge.
    pub by: &'a Sender,
    /// Why, in their words.
    pub reason: Option<&'a str>,
    /// This installation.
    pub instance: &'a Instance,
    /// Now.
    pub now: DateTime<Utc>,
}

/// A wish that was followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// The run as it is now.
    pub run: RunId,
    /// The workflow that has commands to be delivered now.
    pub workflow_id: Option<String>,
}

/// Why a wish can't be followed now.
#[derive(Debug, thiserror::Error)]
pub enum ByHandError {
    /// The run has ended: there is nothing to cancel.
    #[error("the run has ended already")]
    Ended,
    /// The run has not ended: there is nothing to retry.
    #[error("the run is still at work: cancel it first")]
    AtWork,
    /// Another run is at work there.
    #[error("run {0} is at work on the same issue or pull request")]
    SubjectBusy(RunId),
    /// A pause holds it back.
    #[error("{0}")]
    Paused(String),
    /// The rules say no.
    #[error("{reason}")]
    Refused {
        /// What was decided.
        verdict: VerdictKind,
        /// Why, as a sentence.
        reason: String,
    },
    /// This wish was told before.
    #[error("this retry was asked for before")]
    SameKey,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Asks a run at work to end. Their right to it was checked by whoever calls this.
///
/// # Errors
/// [`ByHandError`]
pub async fn cancel(conn: &mut PgConnection, run: RunId, asker: Asker<'_>) -> Result<Followed, ByHandError> {
    let run = settled(conn, run).await?;
    if run.state == RunState::Finished {
        return Err(ByHandError::Ended);
    }
    let how = match asker.reason {
        Some(reason) => domain::sentences::cancelled_in_console_for(reason),
        None => domain::sentences::cancelled_in_console().to_owned(),
    };
    let request = CancelRequest { by: asker.by.clone(), how, trusted: true };
    let done = ask_to_end(conn, &run, &request, (asker.instance, asker.now)).await?;
    followed(conn, &run, done, asker).await
}

/// A run to be started by hand.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// Where.
    pub repository: &'a Repository,
    /// What the agent is to work on.
    pub subject: Subject,
    /// The agent's name, as it was written.
    pub agent: &'a str,
    /// What the agent is told beyond the issue.
    pub instructions: &'a str,
    /// What makes the same wish told twice one run.
    pub key: &'a str,
}

/// Has an agent run: an event of our own on the way of all events. What the rules refuse leaves no trace if the caller
/// then gives the transaction up. Their right to it was checked by whoever calls this.
///
/// # Errors
/// [`ByHandError`]
pub async fn start(conn: &mut PgConnection, start: Start<'_>, asker: Asker<'_>) -> Result<Followed, ByHandError> {
    let Start { repository, subject, agent, instructions, key } = start;
    let latest = runs::latest_for_subject(conn, repository.id, subject).await?;
    let wish = HandWish {
        subject,
        // Only the worker can ask the forge; it notes the title when it reads the issue.
        title: latest.map(|run| run.subject_title).unwrap_or_default(),
        agent: agent.to_owned(),
        instructions: instructions.to_owned(),
        key: key.to_owned(),
        at: asker.now,
    };
    let body =
        json!({ "subject": subject.kind, "number": subject.number, "agent": agent, "instructions": instructions });
    let named = event::Repository {
        forge_id: repository.forge_repo_id,
        owner: repository.owner.clone(),
        name: repository.name.clone(),
        default_branch: None,
        private: None,
        archived: None,
    };
    let event = Event {
        name: "by_hand".to_owned(),
        action: None,
        repository: Some(named),
        sender: Some(asker.by.clone()),
        kind: EventKind::ByHand(wish),
    };
    let arrival = Arrival {
        hook_key: NO_HOOK,
        guid: &format!("hand:{key}"),
        spoken_for: Some(repository.id),
        event: &event,
        body: &body.to_string().into(),
        received_at: asker.now,
        source: DeliverySource::Manual,
    };
    let recorded = record_within(conn, asker.instance, &arrival).await?;
    match (recorded.verdict, recorded.run) {
        (VerdictKind::Started, Some(run)) => Ok(Followed { run, workflow_id: recorded.workflow_id }),
        (verdict, _) => Err(ByHandError::Refused { verdict, reason: recorded.reason }),
    }
}

/// Begins a new attempt of a run that has ended. Their right to it was checked by whoever calls this.
///
/// # Errors
/// [`ByHandError`]
pub async fn retry(
    conn: &mut PgConnection,
    run: RunId,
    (from, key): (RetryFrom, &str),
    asker: Asker<'_>,
) -> Result<Followed, ByHandError> {
    let run = settled(conn, run).await?;
    if run.state != RunState::Finished {
        return Err(ByHandError::AtWork);
    }
    let repository = repositories::get(conn, run.repository_id).await?;
    if repository.detached_at.is_some() {
        let reason = domain::sentences::attach_again_first(repository.full_name());
        return Err(ByHandError::Refused { verdict: VerdictKind::RepositoryUnknown, reason });
    }
    if let Some(pause) = domain::pauses::holding(&pauses::holding(conn, run.project_id).await?, &run.agent) {
        return Err(ByHandError::Paused(pause.sentence()));
    }
    let (from, earlier_work) = match from {
        RetryFrom::Start => (None, EarlierWork::NotAsked),
        RetryFrom::Step(step) => (Some(step), EarlierWork::NotAsked),
        RetryFrom::KeptWork => {
            let kept = checkpoints::newest(conn, run.id).await?;
            (Some(Step::Launch), kept.map_or(EarlierWork::NoneKept, |kept| EarlierWork::Kept(kept.attempt)))
        }
    };
    let wish = RetryRun {
        business_key: BusinessKey::by_hand(key),
        run: run.id,
        from,
        earlier_work,
        requested_by: asker.by.clone(),
        at: asker.now,
    };
    let done = begin_attempt(conn, &wish, (asker.instance, asker.now)).await.map_err(|error| match error {
        RetryError::SameKey { .. } => ByHandError::SameKey,
        RetryError::Unfinished => ByHandError::AtWork,
        RetryError::SubjectBusy(other) => ByHandError::SubjectBusy(other),
        RetryError::Store(error) => ByHandError::Store(error),
    })?;
    followed(conn, &run, done, asker).await
}

/// The run, with nobody else judging anything about its subject until the transaction ends.
async fn settled(conn: &mut PgConnection, run: RunId) -> Result<Run> {
    let found = runs::get(conn, run).await?;
    let repository = repositories::get(conn, found.repository_id).await?;
    locks::take(conn, &Turn::subject(repository.forge_repo_id, found.subject.number)).await?;
    runs::get(conn, run).await
}

async fn followed(conn: &mut PgConnection, run: &Run, done: Done, asker: Asker<'_>) -> Result<Followed, ByHandError> {
    if let Some((kind, mut detail)) = done.audit {
        if let (Some(fields), Some(reason)) = (detail.as_object_mut(), asker.reason) {
            fields.insert("reason".into(), reason.into());
        }
        let event = NewFlowEvent {
            run: Some(run.id),
            repository: Some(run.repository_id),
            ..NewFlowEvent::new(asker.now, &asker.by.login, kind, detail)
        };
        audit::append(conn, event).await?;
    }
    Ok(Followed { run: run.id, workflow_id: done.workflow_id })
}
