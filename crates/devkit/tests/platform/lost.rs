//! A run that is no longer heard of becomes lost, everywhere and with a cause.

use std::time::Duration;

use anyhow::Context;
use devkit::{
    github::{Effect, Fault},
    harness::{Platform, REPOSITORY, until},
};
use domain::{
    ids::Attempt,
    job::JobPresence,
    job_ending::FailureClass,
    run::{Outcome, RunState, Step, comment_marker},
    sentences,
    workflow_id::{self, job_name},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use store::{
    CommandKind, CommandState, attempts, checkpoints,
    commands::{self, About, NewCommand},
    job_failures,
    runs::{self, Facts, Run},
};
use temporalio_client::tonic::IntoRequest;
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution, workflowservice::v1::TerminateWorkflowExecutionRequest,
};

use super::in_engine;

/// Comment, label and row agree 10 s after any end; on a busy machine a little later, but sooner than each run is asked about.
const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_job_is_killed_is_lost_with_a_cause() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("endless-loop")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    platform.kill_job(run.id, run.attempt).await?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::Lost), "{run:?}");
    assert!(run.cause.as_deref().is_some_and(|cause| cause.contains("without a report")), "{:?}", run.cause);
    let failure = job_failures::get(&mut *platform.store().acquire().await?, run.id, run.attempt).await?;
    assert!(failure.is_some(), "{run:?}");
    platform.finish().await
}

/// Evidence is kept of what nobody wanted: it counts as a failure, and is shown as one.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_we_asked_to_end_leaves_no_failure_when_it_ends_without_a_report() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("endless-loop")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    let asked_at = chrono::Utc::now();
    attempts::request_stop(&mut *platform.store().acquire().await?, run.id, run.attempt, asked_at).await?;
    platform.kill_job(run.id, run.attempt).await?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::Lost), "{run:?}");
    let failure = job_failures::get(&mut *platform.store().acquire().await?, run.id, run.attempt).await?;
    assert!(failure.is_none(), "{failure:?}");
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_job_is_started_whose_end_was_asked_for_before() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("endless-loop")?;
    platform.forge.fail(Fault::once("GET", format!("/repos/*/issues/{number}"), Effect::Latency(3_000)));
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "before its launch", |run| run.step == Some(Step::Prompt)).await?;
    attempts::request_stop(&mut *platform.store().acquire().await?, run.id, run.attempt, chrono::Utc::now()).await?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::Failed), "{run:?}");
    assert!(run.cause.as_deref().is_some_and(|cause| cause.contains(sentences::ended_while_starting())), "{run:?}");
    assert_eq!(platform.presence(run.id, run.attempt).await?, JobPresence::Absent);
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_terminated_in_the_engine_is_lost_and_frees_its_slot_and_job() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("endless-loop")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    let client = platform.engine().client().await?;
    let request = TerminateWorkflowExecutionRequest {
        namespace: "default".to_owned(),
        workflow_execution: Some(WorkflowExecution {
            workflow_id: workflow_id::agent_run(&platform.instance, run.id, run.attempt),
            run_id: String::new(),
        }),
        reason: "an operator pressed the button".to_owned(),
        ..Default::default()
    };
    let before = chrono::Utc::now() - chrono::TimeDelta::seconds(1);
    client.connection().workflow_service().terminate_workflow_execution(request.into_request()).await?;
    // Each run is asked about as well, but only once a minute.
    platform
        .await_that("the engine lists it", async || {
            let closed = platform.engine().closed_since(dispatch::AGENT_RUN, before).await?;
            Ok((closed == [workflow_id::agent_run(&platform.instance, run.id, run.attempt)]).then_some(()))
        })
        .await?;
    let soon = until(SOON, async || Ok(platform.run_of(number).await?.filter(|run| run.outcome.is_some()))).await?;
    let run = soon.context("it is lost within seconds")?;
    assert_eq!(run.outcome, Some(Outcome::Lost), "{run:?}");
    assert!(run.cause.as_deref().is_some_and(|cause| cause.contains("terminated")), "{:?}", run.cause);
    let marker = comment_marker(run.id);
    platform
        .await_that("comment and label tell it", async || {
            let told = platform
                .forge
                .comments(REPOSITORY, number)?
                .iter()
                .any(|comment| comment.body.contains(&marker) && comment.body.contains("terminated"));
            let labels = platform.forge.labels(REPOSITORY, number)?;
            Ok((told && labels.contains(&"codex:failed".to_owned())).then_some(()))
        })
        .await?;
    platform.finish().await
}

/// Nothing lists it any more, so it is missed when each run is asked about.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_the_engine_has_forgotten_is_lost() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("endless-loop")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    in_engine::forget(&platform, &workflow_id::agent_run(&platform.instance, run.id, run.attempt)).await?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::Lost), "{run:?}");
    // It is ended before it is forgotten, and may have been looked at just then.
    let causes = [sentences::workflow_unknown(), sentences::workflow_terminated()];
    assert!(run.cause.as_deref().is_some_and(|cause| causes.contains(&cause)), "{run:?}");
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_unheard_of_until_its_deadline_is_lost_though_its_workflow_is_open() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let busy = platform.open_issue("endless-loop")?;
    platform.label(busy, "run:dev")?;
    let run = platform.await_run(busy, "at work", |run| run.step == Some(Step::Agent)).await?;
    let hours = run.deadline_at.map(|deadline| (deadline - chrono::Utc::now()).num_hours());
    assert!(hours >= Some(24), "a run that moves has a deadline ahead: {run:?}");
    // Of an agent at work the token would end with the deadline, and so would its Job. A run in the queue has neither.
    let number = platform.open_issue("no-change")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "in the queue", |run| run.state == RunState::Waiting).await?;
    let past = Facts { deadline_at: Some(run.created_at), ..Facts::default() };
    runs::set_facts(&mut *platform.store().acquire().await?, run.id, past).await?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::Lost), "{run:?}");
    assert!(run.cause.as_deref().is_some_and(|cause| cause.contains("deadline")), "{:?}", run.cause);
    let id = workflow_id::agent_run(&platform.instance, run.id, run.attempt);
    let state = platform.engine().state(&id).await?;
    assert_eq!(state, dispatch::engine::WorkflowState::Closed { status: "terminated" });
    platform.forge.comment("maintainer", REPOSITORY, busy, "/cancel")?;
    platform.await_end(busy).await?;
    platform.finish().await
}

/// Something of the Job's machine asks it to end, as a drain of a node does.
async fn interrupt(platform: &Platform, run: &Run) -> anyhow::Result<()> {
    let claim = platform.folder().join("jobs").join(job_name(run.id, run.attempt)).join("claim");
    let pid: i32 = std::fs::read_to_string(claim)?.trim().parse()?;
    Ok(kill(Pid::from_raw(pid), Signal::SIGTERM)?)
}

/// Nobody cancelled it, so it is no cancelled run, however its Job words it.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_its_machine_asks_to_end_is_followed_by_another() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    platform.forge.commit("writer", REPOSITORY, "main", &[("services.yaml", Some("version: 1\n"))]).await?;
    let number = platform.open_issue("two-halves")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    platform
        .await_that("the first half is kept", async || {
            Ok(checkpoints::newest(&mut *platform.store().acquire().await?, run.id).await?)
        })
        .await?;
    interrupt(&platform, &run).await?;
    let again = |run: &Run| run.attempt == Attempt(2) && run.outcome.is_some();
    let run = platform.await_run(number, "gone on", again).await?;
    assert_eq!(run.outcome, Some(Outcome::PullRequestOpen), "{run:?}");
    let mut conn = platform.store().acquire().await?;
    let failure = job_failures::get(&mut conn, run.id, Attempt::FIRST).await?;
    assert_eq!(failure.map(|failure| failure.class), Some(FailureClass::Interrupted));
    assert_eq!(attempts::get(&mut conn, run.id, Attempt(2)).await?.continues, Some(Attempt::FIRST));
    drop(conn);
    platform
        .await_that("the comment says that it went on, and why", async || {
            let comments = platform.forge.comments(REPOSITORY, number)?;
            let words =
                "Attempt 1 was lost, and the run went on by itself. The Job was asked to end by its surroundings";
            Ok(comments.iter().any(|comment| comment.body.contains(words)).then_some(()))
        })
        .await?;
    platform.finish().await
}

/// What comes too late for a workflow is refused with a reason; it does not stay and is not forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_for_an_ended_workflow_does_not_stay() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("no-change")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_end(number).await?;
    platform.await_agreement(number).await?;
    let id = workflow_id::agent_run(&platform.instance, run.id, run.attempt);
    platform
        .await_that("the workflow has ended", async || {
            let state = platform.engine().state(&id).await?;
            Ok(matches!(state, dispatch::engine::WorkflowState::Closed { .. }).then_some(()))
        })
        .await?;
    let late = NewCommand {
        workflow_id: &id,
        kind: CommandKind::Signal,
        about: About::Run(run.id, run.attempt),
        name: Some("job_reported"),
        payload: serde_json::Value::Null,
        now: chrono::Utc::now(),
    };
    let mut conn = platform.store().acquire().await?;
    let command = commands::enqueue(&mut conn, late).await?;
    drop(conn);
    let ended = platform
        .await_that("it is not pending any more", async || {
            let command = commands::get(&mut *platform.store().acquire().await?, command).await?;
            Ok(Some(command).filter(|command| command.state != CommandState::Pending))
        })
        .await?;
    assert_eq!(
        (ended.state, ended.last_error.as_deref()),
        (CommandState::Failed, Some("the workflow has ended or never was"))
    );
    platform.finish().await
}
