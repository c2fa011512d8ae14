//! Temporal is down for a while, and the gateway dies in the meantime: nothing is lost and nothing is done twice.

use devkit::harness::{Hosting, Platform, REPOSITORY, Victim};
use domain::{
    ids::RunId,
    run::{Outcome, comment_marker},
    workflow_id,
};
use store::{CommandKind, CommandState, commands};
use temporalio_client::tonic::IntoRequest;
use temporalio_common::protos::temporal::api::workflowservice::v1::ListWorkflowExecutionsRequest;

use crate::webhooks::Webhooks;

async fn commands_of(platform: &Platform, run: RunId) -> anyhow::Result<Vec<(CommandKind, CommandState)>> {
    let all = commands::list_for_run(&mut *platform.store().acquire().await?, run).await?;
    Ok(all.iter().map(|command| (command.kind, command.state)).collect())
}

/// How many workflows there are, or were, for an attempt.
async fn workflows_of(platform: &Platform, run: RunId) -> anyhow::Result<usize> {
    let client = platform.engine().client().await?;
    let request = ListWorkflowExecutionsRequest {
        namespace: "default".to_owned(),
        query: format!(
            "WorkflowId = '{}'",
            workflow_id::agent_run(&platform.instance, run, domain::ids::Attempt::FIRST)
        ),
        ..Default::default()
    };
    let answer = client.connection().workflow_service().list_workflow_executions(request.into_request()).await?;
    Ok(answer.into_inner().executions.len())
}

async fn a_label_during_the_outage(platform: &mut Platform) -> anyhow::Result<()> {
    let webhooks = Webhooks::of(platform)?;
    platform.stop(Victim::Temporal).await?;
    let number = platform.open_issue("good-fix")?;
    let answer = platform.deliver(&platform.gateway_url, "issues", &webhooks.labeled(number)).await?;
    let run: RunId = answer["run"].as_str().unwrap_or_default().parse()?;
    assert_eq!(commands_of(platform, run).await?, [(CommandKind::Start, CommandState::Pending)], "{answer}");
    platform.stop(Victim::Gateway).await?;
    assert_eq!(commands_of(platform, run).await?, [(CommandKind::Start, CommandState::Pending)]);
    platform.bring_up(Victim::Gateway).await?;
    platform.bring_up(Victim::Temporal).await?;

    let ended = platform.await_end(number).await?;
    assert_eq!((ended.id, ended.outcome), (run, Some(Outcome::PullRequestOpen)), "{ended:?}");
    let starts: Vec<_> =
        commands_of(platform, run).await?.into_iter().filter(|(kind, _)| *kind == CommandKind::Start).collect();
    assert_eq!(starts, [(CommandKind::Start, CommandState::Done)]);
    platform.await_agreement(number).await?;
    let workflows = platform
        .await_that("the workflow is listed", async || {
            let workflows = workflows_of(platform, run).await?;
            Ok((workflows > 0).then_some(workflows))
        })
        .await?;
    assert_eq!(workflows, 1);
    assert_eq!(platform.forge.pulls(REPOSITORY)?.len(), 1);
    let marker = comment_marker(run);
    let comments = platform.forge.comments(REPOSITORY, number)?;
    assert_eq!(comments.iter().filter(|comment| comment.body.contains(&marker)).count(), 1, "{comments:?}");
    Ok(())
}

async fn a_cancel_during_the_outage(platform: &mut Platform) -> anyhow::Result<()> {
    let webhooks = Webhooks::of(platform)?;
    let asked = platform.model.requests().len();
    platform.stop(Victim::Temporal).await?;
    let number = platform.open_issue("good-fix")?;
    let answer = platform.deliver(&platform.gateway_url, "issues", &webhooks.labeled(number)).await?;
    let run: RunId = answer["run"].as_str().unwrap_or_default().parse()?;
    platform.deliver(&platform.gateway_url, "issue_comment", &webhooks.cancel_command(number)).await?;

    // The end is there before the engine is back.
    let ended = platform.await_end(number).await?;
    assert_eq!((ended.id, ended.outcome, ended.step), (run, Some(Outcome::Cancelled), None), "{ended:?}");
    let dropped = [(CommandKind::Start, CommandState::Dropped), (CommandKind::Cancel, CommandState::Dropped)];
    assert_eq!(commands_of(platform, run).await?, dropped);
    platform.await_agreement(number).await?;
    platform.bring_up(Victim::Temporal).await?;
    let id = workflow_id::agent_run(&platform.instance, run, ended.attempt);
    let state = platform.await_that("the engine answers", async || Ok(platform.engine().state(&id).await.ok())).await?;
    assert_eq!(state, dispatch::engine::WorkflowState::Unknown);
    assert_eq!(platform.model.requests().len(), asked, "no agent was started");
    assert_eq!(commands_of(platform, run).await?, dropped);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_temporal_is_down_is_done_once_or_not_at_all() -> anyhow::Result<()> {
    let mut platform = super::start(1, Hosting::Processes).await?;
    a_label_during_the_outage(&mut platform).await?;
    a_cancel_during_the_outage(&mut platform).await?;
    platform.finish().await
}
