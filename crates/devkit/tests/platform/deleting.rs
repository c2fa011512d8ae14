//! Deleting a project: its runs end, its repositories are detached, and what was done in it stays.

use devkit::harness::{Options, Platform, REPOSITORY, Tamper};
use dispatch::engine::WorkflowState;
use domain::{
    event::Sender,
    run::{Outcome, Step},
    workflow_id,
};
use ingest::deletions;
use store::{
    StoreError, credentials,
    project_deletions::{self, NewDeletion, ProjectDeletion},
    repositories, runs,
    testing::audited,
};
use temporalio_client::tonic::IntoRequest;
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution, workflowservice::v1::TerminateWorkflowExecutionRequest,
};

async fn delete(platform: &Platform) -> anyhow::Result<String> {
    let by = Sender { id: 1, login: "maintainer".to_owned(), is_bot: false };
    let mut tx = platform.store().begin().await?;
    let new = NewDeletion {
        project: platform.repository.project,
        asked_by: &by,
        reason: "It is over.",
        now: chrono::Utc::now(),
    };
    let workflow = deletions::begin(&mut tx, &platform.instance, new).await?;
    tx.commit().await.map_err(StoreError::from)?;
    workflow.ok_or_else(|| anyhow::anyhow!("it was deleted before"))
}

async fn deletion(platform: &Platform) -> anyhow::Result<ProjectDeletion> {
    let found = project_deletions::find(&mut *platform.store().acquire().await?, platform.repository.project).await?;
    found.ok_or_else(|| anyhow::anyhow!("there is none"))
}

async fn await_deleted(platform: &Platform) -> anyhow::Result<()> {
    platform.await_that("the project is deleted", async || Ok(deletion(platform).await?.ended_at.map(drop))).await?;
    let mut conn = platform.store().acquire().await?;
    let row = repositories::get(&mut conn, platform.repository.id).await?;
    assert!(row.detached_at.is_some() && row.credential.is_none(), "{row:?}");
    let credential = platform.repository.credential.ok_or_else(|| anyhow::anyhow!("no credential"))?;
    let old = credentials::get(&mut conn, credential).await?;
    assert!(old.is_some_and(|old| old.revoked_at.is_some() && old.sealed.is_empty()));
    assert!(platform.forge.hooks(REPOSITORY)?.is_empty());
    assert_eq!(audited(platform.store(), "project_deleted").await?.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_goes_with_its_runs_and_what_was_done_stays() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let (at_work, queued) = (platform.open_issue("endless-loop")?, platform.open_issue("slow")?);
    platform.label(at_work, "run:dev")?;
    platform.await_run(at_work, "at work", |run| run.step == Some(Step::Agent)).await?;
    platform.label(queued, "run:dev")?;
    platform.await_run(queued, "waiting", |run| run.step == Some(Step::Slot)).await?;
    delete(&platform).await?;
    await_deleted(&platform).await?;
    for number in [at_work, queued] {
        let run = platform.await_end(number).await?;
        assert_eq!(run.outcome, Some(Outcome::Cancelled), "{run:?}");
        assert!(run.cause.as_ref().is_some_and(|cause| cause.contains("It is over.")), "{:?}", run.cause);
        assert!(runs::find(&mut *platform.store().acquire().await?, run.id).await?.is_some());
    }
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_is_terminated_is_begun_again() -> anyhow::Result<()> {
    let mut platform = super::platform_with(1).await?;
    platform.stop_worker().await?;
    let workflow_id = delete(&platform).await?;
    platform
        .await_that("its workflow is there", async || {
            let state = platform.engine().state(&workflow_id).await?;
            Ok((state == WorkflowState::Open).then_some(()))
        })
        .await?;
    let request = TerminateWorkflowExecutionRequest {
        namespace: "default".to_owned(),
        workflow_execution: Some(WorkflowExecution { workflow_id, run_id: String::new() }),
        ..Default::default()
    };
    let client = platform.engine().client().await?;
    client.connection().workflow_service().terminate_workflow_execution(request.into_request()).await?;
    platform.start_worker().await?;
    await_deleted(&platform).await?;
    let ended = deletion(&platform).await?;
    assert_eq!(ended.attempt, 2);
    let second = workflow_id::delete_project(&platform.instance, ended.project, 2);
    platform
        .await_that("the second workflow has ended", async || {
            let state = platform.engine().state(&second).await?;
            Ok(matches!(state, WorkflowState::Closed { .. }).then_some(()))
        })
        .await?;
    platform.finish().await
}

async fn deletes_in_spite_of(tamper: Tamper) -> anyhow::Result<()> {
    let options = Options { tamper: Some(tamper), ..super::defaults() };
    let platform = super::with(options).await?;
    delete(&platform).await?;
    await_deleted(&platform).await?;
    let met = platform.tampered_with();
    for activity in ["detach_repositories", "leave_cluster", "end_deletion"] {
        assert!(met.contains(activity), "{activity} of {met:?}");
    }
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_can_fail_once() -> anyhow::Result<()> {
    deletes_in_spite_of(Tamper::FailBefore).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_can_be_done_twice() -> anyhow::Result<()> {
    deletes_in_spite_of(Tamper::LoseAnswer).await
}
