//! What comes in between: a worker that is not there, answers that are lost, a new name.

use std::cell::RefCell;

use devkit::{
    github::{Effect, Fault, Knob},
    harness::{Options, Tamper, all_rights},
};
use dispatch::engine::WorkflowState;
use domain::{connection::ConnectionState, workflow_id};
use gateway::connecting::{ConnectError, Heard, follow};
use store::repositories;
use temporalio_client::tonic::IntoRequest;
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution, workflowservice::v1::TerminateWorkflowExecutionRequest,
};

use super::{app_on, ask, connect, end_of, new_repository, token_of, working_hook};

#[tokio::test(flavor = "multi_thread")]
async fn without_a_worker_it_waits_and_goes_on_later() -> anyhow::Result<()> {
    let mut platform = super::super::platform_with(1).await?;
    let full_name = new_repository(&platform, "second").await?;
    let token = token_of(&platform, "maintainer", &full_name, all_rights())?;
    platform.stop_worker().await?;
    let id = ask(&platform, &full_name, &token).await??;
    let refused = ask(&platform, &full_name, &token).await?;
    assert!(matches!(refused, Err(ConnectError::UnderWay(..))), "{refused:?}");
    let heard = RefCell::new(Vec::new());
    {
        let waiting = follow(platform.store(), &platform.instance, id, |one| heard.borrow_mut().push(one.clone()));
        let noticed = platform.await_that("the missing worker is noticed", async || {
            Ok(heard.borrow().contains(&Heard::NoWorker).then_some(()))
        });
        tokio::select! {
            ended = waiting => anyhow::bail!("it ended without a worker: {:?}", ended?.message),
            noticed = noticed => noticed?,
        }
    }
    // Whoever waited is gone; the request is not.
    platform.start_worker().await?;
    let ended = end_of(&platform, id).await?;
    assert_eq!(ended.state, ConnectionState::Done, "{:?}", ended.message);
    working_hook(&platform, &full_name).await?;
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_is_terminated_does_not_block_the_next() -> anyhow::Result<()> {
    let mut platform = super::super::platform_with(1).await?;
    let full_name = new_repository(&platform, "second").await?;
    let token = token_of(&platform, "maintainer", &full_name, all_rights())?;
    platform.stop_worker().await?;
    let id = ask(&platform, &full_name, &token).await??;
    let workflow_id = workflow_id::connect_repository(&platform.instance, id);
    let client = platform.engine().client().await?;
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
    client.connection().workflow_service().terminate_workflow_execution(request.into_request()).await?;
    platform.start_worker().await?;
    let ended = end_of(&platform, id).await?;
    assert_eq!(ended.state, ConnectionState::Failed);
    assert!(
        ended.message.as_ref().is_some_and(|words| words.contains("terminated by frontend-service in the engine")),
        "{:?}",
        ended.message
    );
    let again = connect(&platform, &full_name, &token).await?;
    assert_eq!(again.state, ConnectionState::Done, "{:?}", again.message);
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_makes_no_second_hook() -> anyhow::Result<()> {
    let platform = super::super::platform_with(1).await?;
    let lost = |method: &str, path: &str| {
        let (method, path) = (Some(method.to_owned()), Some(path.to_owned()));
        Knob::Fault(Fault { method, path, times: 1, effect: Effect::ErrorAfter(502) })
    };
    let full_name = new_repository(&platform, "second").await?;
    // As an App, since nothing is probed then: the first hook that is made is the one.
    let app = app_on(&platform, &full_name, all_rights())?;
    platform.forge.knob(lost("POST", "/repos/acme/second/hooks")).await?;
    platform.forge.knob(lost("PATCH", "/repos/acme/second/hooks/*")).await?;
    let ended = connect(&platform, &full_name, &app.credential()?).await?;
    assert_eq!(ended.state, ConnectionState::Done, "{:?}", ended.message);
    working_hook(&platform, &full_name).await?;
    platform.finish().await
}

/// Each activity of connecting meets its trouble once.
async fn connects_in_spite_of(tamper: Tamper) -> anyhow::Result<()> {
    let options = Options { tamper: Some(tamper), ..super::super::defaults() };
    let platform = super::super::with(options).await?;
    let full_name = new_repository(&platform, "second").await?;
    let token = token_of(&platform, "maintainer", &full_name, all_rights())?;
    let ended = connect(&platform, &full_name, &token).await?;
    assert_eq!(ended.state, ConnectionState::Done, "{tamper:?}: {:?}", ended.message);
    working_hook(&platform, &full_name).await?;
    let met = platform.tampered_with();
    for activity in ["check_rights", "adopt_repository", "make_hook", "read_settings", "end_connecting"] {
        assert!(met.contains(activity), "{activity} of {met:?}");
    }
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_can_fail_once() -> anyhow::Result<()> {
    connects_in_spite_of(Tamper::FailBefore).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_can_be_done_twice() -> anyhow::Result<()> {
    connects_in_spite_of(Tamper::LoseAnswer).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_found_under_its_new_name() -> anyhow::Result<()> {
    let platform = super::super::platform_with(1).await?;
    let full_name = new_repository(&platform, "second").await?;
    let token = token_of(&platform, "maintainer", &full_name, all_rights())?;
    let first = connect(&platform, &full_name, &token).await?;
    let rename = Knob::RenameRepository { repository: full_name.clone(), name: "third".to_owned() };
    platform.forge.knob(rename).await?;
    let second = connect(&platform, &full_name, &token).await?;
    assert_eq!(second.state, ConnectionState::Done, "{:?}", second.message);
    assert_eq!(first.repository, second.repository);
    let id = second.repository.unwrap_or(platform.repository.id);
    let row = repositories::get(&mut *platform.store().acquire().await?, id).await?;
    assert_eq!(row.full_name(), "acme/third");
    working_hook(&platform, "acme/third").await?;
    platform.finish().await
}
