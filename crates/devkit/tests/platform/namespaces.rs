//! The engine's namespace is a setting of the roles.

use devkit::harness::{Hosting, Options, Platform};
use dispatch::{
    Engine, EngineError, EnginePlace, EngineSettings,
    engine::{Applied, Target, WorkflowState},
};
use domain::{run::Outcome, workflow_id};
use serde_json::json;
use uuid::Uuid;

/// The platform's engine, looked at in this namespace.
fn engine_in(platform: &Platform, namespace: &str) -> anyhow::Result<Engine> {
    let address = platform.engine().settings().address();
    let place = EnginePlace { address, namespace: namespace.parse()? };
    Ok(Engine::new(EngineSettings::at(&place, platform.instance.clone(), "operator")?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_takes_place_in_the_namespace_that_was_named() -> anyhow::Result<()> {
    let options =
        Options { hosting: Hosting::Processes, namespace: "codex-k8s.elsewhere".parse()?, ..super::defaults() };
    let platform = super::with(options).await?;
    platform.label(1, "run:dev")?;
    let run = platform.await_end(1).await?;
    assert_eq!(run.outcome, Some(Outcome::PullRequestOpen), "{run:?}");
    let workflow = workflow_id::agent_run(&platform.instance, run.id, run.attempt);
    let state =
        async |namespace: &str| engine_in(&platform, namespace)?.state(&workflow).await.map_err(anyhow::Error::from);
    platform
        .await_that("the workflow is over", async || {
            let state = state("codex-k8s.elsewhere").await?;
            Ok((state == WorkflowState::Closed { status: "completed" }).then_some(()))
        })
        .await?;
    assert_eq!(state("default").await?, WorkflowState::Unknown);
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_not_there_does_not_look_like_an_empty_one() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let here = engine_in(&platform, "default")?;
    let nowhere = engine_in(&platform, "nobody-made-it")?;
    let target = Target { workflow_id: &format!("{}:x", platform.instance), request_id: Uuid::new_v4() };
    assert_eq!(here.cancel(target, "x").await?, Applied::NoSuchWorkflow);
    assert!(!here.server_version().await?.is_empty());
    for refused in [
        nowhere.start(target, "AgentRun", &json!({})).await.map(drop),
        nowhere.signal(target, "x", &json!({})).await.map(drop),
        nowhere.cancel(target, "x").await.map(drop),
        nowhere.state(target.workflow_id).await.map(drop),
        nowhere.history(target.workflow_id).await.map(drop),
        nowhere.termination(target.workflow_id).await.map(drop),
        nowhere.delete_schedule(target.workflow_id).await.map(drop),
        nowhere.server_version().await.map(drop),
    ] {
        assert!(matches!(refused, Err(EngineError::NoNamespace(_))), "{refused:?}");
    }
    platform.finish().await
}
