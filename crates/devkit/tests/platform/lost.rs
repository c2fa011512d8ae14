//! A run that is no longer heard of becomes lost, everywhere and with a cause.

use devkit::harness::REPOSITORY;
use domain::{
    run::{Outcome, RunState, Step, comment_marker},
    workflow_id,
};
use store::runs::{self, Facts};
use temporalio_client::tonic::IntoRequest;
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution, workflowservice::v1::TerminateWorkflowExecutionRequest,
};

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
    client.connection().workflow_service().terminate_workflow_execution(request.into_request()).await?;
    let run = platform.await_end(number).await?;
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
