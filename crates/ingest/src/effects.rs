//! What follows from a verdict, written in the transaction of its delivery.

use chrono::{DateTime, Utc};
use domain::{
    event::{self, Subject},
    ids::{Attempt, DeliveryId, Instance, RunId},
    run::Step,
    run_limits::UNHEARD_LIMIT,
    triggers::{CancelMark, CancelRequest, CancelRun, EarlierWork, Effect, NewRun, RetryRun},
    workflow_id,
};
use serde_json::{Value, json};
use store::{
    CommandKind, PgConnection, Result, StoreError, attempts,
    cancel_marks::{self, NewCancelMark},
    commands::{self, About, NewCommand},
    repositories::Repository,
    repository_events::{self, Seen},
    runs::{self, NewAttempt, NewRunResult, RetryError, Run},
    steps,
};
use workflows::messages;

/// Where and when an effect takes place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) instance: &'a Instance,
    pub(crate) repository: Option<&'a Repository>,
    pub(crate) subject: Option<Subject>,
    pub(crate) active: Option<&'a Run>,
    pub(crate) delivery: DeliveryId,
    pub(crate) now: DateTime<Utc>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is done.
    Done(Done),
    /// Somebody else was first: what was looked up no longer holds.
    Overtaken,
}

/// An effect that took place.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// The run it is about.
    pub(crate) run: Option<RunId>,
    /// The workflow that now has commands to be delivered.
    pub(crate) workflow_id: Option<String>,
    /// A word and the particulars for the audit; none if nothing happened.
    pub(crate) audit: Option<(&'static str, Value)>,
}

pub(crate) async fn apply(conn: &mut PgConnection, effect: &Effect, place: Place<'_>) -> Result<Outcome> {
    let Some(repository) = place.repository else { return Ok(Outcome::Done(Done::default())) };
    match effect {
        Effect::None => Ok(Outcome::Done(Done::default())),
        Effect::Start(run) => start(conn, run, repository, place).await,
        Effect::Cancel(cancel) => cancel_run(conn, cancel, place).await,
        Effect::Retry(retry) => begin_again(conn, retry, place).await,
        Effect::MarkCancel(mark) => keep_mark(conn, mark, repository, place).await,
        Effect::RefreshConfig { sha } => {
            repository_events::want_config(conn, repository.id, sha).await?;
            Ok(done("config_wanted", json!({ "sha": sha })))
        }
        Effect::UpdateRepository(seen) => update_repository(conn, seen, repository).await,
    }
}

fn done(kind: &'static str, detail: Value) -> Outcome {
    Outcome::Done(Done { audit: Some((kind, detail)), ..Done::default() })
}

async fn start(conn: &mut PgConnection, new: &NewRun, repository: &Repository, place: Place<'_>) -> Result<Outcome> {
    let row = runs::NewRun {
        repository_id: repository.id,
        project_id: repository.project,
        subject: new.subject,
        subject_title: &new.subject_title,
        agent: &new.agent,
        trigger: &new.trigger,
        business_key: &new.business_key,
        requested_by: &new.requested_by,
        instructions: &new.instructions,
        cause_chain: &new.cause_chain,
        machine_depth: new.machine_depth,
        deadline_at: place.now + UNHEARD_LIMIT,
        now: place.now,
    };
    let NewRunResult::Started(run) = runs::insert(conn, &row).await? else { return Ok(Outcome::Overtaken) };
    let outbox = Outbox { run, attempt: Attempt::FIRST, instance: place.instance, now: place.now };
    outbox.start(conn, None).await?;
    if let Some(request) = &new.then_cancel {
        outbox.cancel(conn, request).await?;
    }
    let detail = json!({ "agent": new.agent, "trigger": new.trigger, "then_cancel": new.then_cancel });
    Ok(Outcome::Done(outbox.done("run_requested", detail)))
}

async fn begin_again(conn: &mut PgConnection, retry: &RetryRun, place: Place<'_>) -> Result<Outcome> {
    match begin_attempt(conn, retry, (place.instance, place.now)).await {
        Ok(done) => Ok(Outcome::Done(done)),
        Err(RetryError::Store(error)) => Err(error),
        Err(RetryError::SameKey { .. } | RetryError::Unfinished | RetryError::SubjectBusy(_)) => Ok(Outcome::Overtaken),
    }
}

/// Begins a new attempt with its command to the engine.
pub(crate) async fn begin_attempt(
    conn: &mut PgConnection,
    retry: &RetryRun,
    (instance, now): (&Instance, DateTime<Utc>),
) -> Result<Done, RetryError> {
    let from = match (retry.from, retry.earlier_work) {
        // What the attempt before has not come to can't be left out, whatever was asked for.
        (Some(wanted), EarlierWork::NotAsked | EarlierWork::NoneKept) => {
            Some(steps::latest_beginning(conn, retry.run, wanted).await?)
        }
        (from, _) => from,
    };
    let new = NewAttempt {
        run: retry.run,
        from_step: from,
        earlier_work: retry.earlier_work,
        business_key: &retry.business_key,
        requested_by: &retry.requested_by,
        deadline_at: now + UNHEARD_LIMIT,
        now,
    };
    let attempt = runs::begin_attempt(conn, new).await?;
    if let Some(from) = from {
        match retry.earlier_work {
            // Kept work builds on the base that its own attempt had pinned.
            EarlierWork::Kept(earlier) => steps::copy_outputs_of(conn, retry.run, earlier, attempt, from).await?,
            EarlierWork::NotAsked | EarlierWork::NoneKept => {
                steps::copy_outputs(conn, retry.run, attempt, from).await?
            }
        };
    }
    let outbox = Outbox { run: retry.run, attempt, instance, now };
    outbox.start(conn, from).await?;
    let continues = match retry.earlier_work {
        EarlierWork::NotAsked => Value::Null,
        EarlierWork::NoneKept => json!("nothing"),
        EarlierWork::Kept(earlier) => json!(earlier),
    };
    let detail = json!({ "attempt": attempt, "asked_from": retry.from, "from": from, "continues": continues });
    Ok(outbox.done("retry_requested", detail))
}

async fn cancel_run(conn: &mut PgConnection, cancel: &CancelRun, place: Place<'_>) -> Result<Outcome> {
    let Some(active) = place.active.filter(|run| run.id == cancel.run) else { return Ok(Outcome::Overtaken) };
    Ok(Outcome::Done(ask_to_end(conn, active, &cancel.request, (place.instance, place.now)).await?))
}

/// Asks a run at work to end, with its command to the engine.
pub(crate) async fn ask_to_end(
    conn: &mut PgConnection,
    run: &Run,
    request: &CancelRequest,
    (instance, now): (&Instance, DateTime<Utc>),
) -> Result<Done> {
    let outbox = Outbox { run: run.id, attempt: run.attempt, instance, now };
    outbox.cancel(conn, request).await?;
    Ok(outbox.done("cancel_requested", json!(request)))
}

async fn keep_mark(
    conn: &mut PgConnection,
    mark: &CancelMark,
    repository: &Repository,
    place: Place<'_>,
) -> Result<Outcome> {
    let Some(subject) = place.subject else { return Ok(Outcome::Done(Done::default())) };
    let new = NewCancelMark { repository: repository.id, subject, delivery: place.delivery, mark };
    cancel_marks::add(conn, new).await?;
    Ok(done("cancel_marked", json!({ "label": mark.label, "at": mark.at, "request": mark.request })))
}

async fn update_repository(
    conn: &mut PgConnection,
    seen: &event::Repository,
    repository: &Repository,
) -> Result<Outcome> {
    let full_name = (!seen.owner.is_empty() && !seen.name.is_empty()).then_some((&*seen.owner, &*seen.name));
    let update = Seen {
        full_name,
        default_branch: seen.default_branch.as_deref(),
        private: seen.private,
        archived: seen.archived,
    };
    let named = repository_events::update_seen(conn, repository.id, update).await?;
    if !named {
        tracing::warn!(repository = %repository.id, "another connected repository still has the new name");
    }
    Ok(done("repository_updated", json!({ "name": seen.full_name(), "archived": seen.archived, "named": named })))
}

/// Commands for the workflow of an attempt.
struct Outbox<'a> {
    run: RunId,
    attempt: Attempt,
    instance: &'a Instance,
    now: DateTime<Utc>,
}

impl Outbox<'_> {
    fn workflow_id(&self) -> String {
        workflow_id::agent_run(self.instance, self.run, self.attempt)
    }

    fn done(&self, kind: &'static str, detail: Value) -> Done {
        Done { run: Some(self.run), workflow_id: Some(self.workflow_id()), audit: Some((kind, detail)) }
    }

    async fn start(&self, conn: &mut PgConnection, from_step: Option<Step>) -> Result<()> {
        let input = messages::AgentRunInput { run: self.run, attempt: self.attempt, from_step };
        self.enqueue(conn, CommandKind::Start, None, json!(input)).await
    }

    /// Who wrote `/cancel` is asked for their rights by the workflow; who took a label off or closed an issue has shown them.
    async fn cancel(&self, conn: &mut PgConnection, request: &CancelRequest) -> Result<()> {
        if !request.trusted {
            let message = messages::CancelRequest {
                by: request.by.login.clone(),
                by_id: request.by.id,
                source: request.how.clone(),
            };
            return self.enqueue(conn, CommandKind::Signal, Some("cancel_requested"), json!(message)).await;
        }
        attempts::request_cancel(conn, self.run, self.attempt, self.now).await?;
        let by = format!("@{} ({})", request.by.login, request.how);
        self.enqueue(conn, CommandKind::Cancel, None, json!({ "by": by })).await
    }

    async fn enqueue(
        &self,
        conn: &mut PgConnection,
        kind: CommandKind,
        name: Option<&str>,
        payload: Value,
    ) -> Result<(), StoreError> {
        let command = NewCommand {
            workflow_id: &self.workflow_id(),
            kind,
            about: About::Run(self.run, self.attempt),
            name,
            payload,
            now: self.now,
        };
        commands::enqueue(conn, command).await.map(|_| ())
    }
}
