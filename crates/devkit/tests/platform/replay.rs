//! Histories of earlier runs still replay: a change of the workflow that would break runs under way is noticed here.
//!
//! `CODEX_K8S_RECORD_HISTORIES=1 cargo dev test platform -- replay` records them anew; do so only when no installation has
//! runs under way by the old ones.

use std::{fs, path::PathBuf};

use anyhow::Context;
use devkit::{
    github::{Effect, Fault},
    harness::{Platform, REPOSITORY},
};
use domain::run::{Outcome, Step};
use store::runs::Run;
use temporalio_client::WorkflowHistory;
use temporalio_sdk::workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions};
use workflows::AgentRun;

use super::{in_engine, slow_forge::MAY_THEY};

pub(super) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../workflows/histories")
}

pub(super) fn histories() -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder())? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "json") {
            found.push((path.display().to_string(), fs::read(&path)?));
        }
    }
    Ok(found)
}

fn replayer() -> anyhow::Result<WorkflowReplayer> {
    Ok(WorkflowReplayer::new(WorkflowReplayerOptions::new().register_workflow::<AgentRun>()?.build())?)
}

/// Whether today's workflow would have come to the same decisions.
pub(super) async fn replays(history: &[u8]) -> anyhow::Result<()> {
    replayer()?.replay_workflow(WorkflowHistory::from_json(history)?).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_histories_replay() -> anyhow::Result<()> {
    let histories = histories()?;
    assert!(histories.len() >= 5, "{}", histories.len());
    for (name, json) in histories {
        replays(&json).await.context(name)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_of_another_workflow_does_not_replay() -> anyhow::Result<()> {
    let (name, json) = histories()?.into_iter().find(|(name, _)| name.contains("pull-request")).unwrap_or_default();
    let other = String::from_utf8(json)?.replace("watch_job", "watch_something");
    assert!(replays(other.as_bytes()).await.is_err(), "{name} replayed although it schedules other activities");
    Ok(())
}

async fn record(platform: &Platform, name: &str, run: &Run) -> anyhow::Result<()> {
    // Waits for the close: the last look of the forge comes after the run has settled.
    let _ = in_engine::workflow(platform, run).await?.get_result(Default::default()).await?;
    let json = in_engine::history(platform, run).await?;
    fs::create_dir_all(folder())?;
    Ok(fs::write(folder().join(format!("{name}.json")), json)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_are_recorded_on_demand() -> anyhow::Result<()> {
    if std::env::var_os("CODEX_K8S_RECORD_HISTORIES").is_none() {
        super::skipped("histories_are_recorded_on_demand", "only with CODEX_K8S_RECORD_HISTORIES=1");
        return Ok(());
    }
    let platform = super::platform_with(1).await?;
    platform.label(1, "run:dev")?;
    record(&platform, "agent-run-pull-request", &platform.await_end(1).await?).await?;

    let number = platform.open_issue("endless-loop")?;
    platform.label(number, "run:dev")?;
    platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    let waiting = platform.open_issue("no-change")?;
    platform.label(waiting, "run:dev")?;
    platform.await_run(waiting, "waiting", |run| run.slot_place == Some(1)).await?;
    platform.forge.comment("maintainer", REPOSITORY, number, "/cancel")?;
    record(&platform, "agent-run-cancelled", &platform.await_end(number).await?).await?;
    record(&platform, "agent-run-queued-no-change", &platform.await_end(waiting).await?).await?;

    let refused = platform.open_issue("good-fix")?;
    platform.forge.comment("outsider", REPOSITORY, refused, "/run dev")?;
    let run = platform.await_end(refused).await?;
    assert_eq!(run.outcome, Some(Outcome::Refused));
    record(&platform, "agent-run-refused", &run).await?;

    let late = platform.open_issue("no-change")?;
    platform.forge.fail(Fault::once("GET", MAY_THEY, Effect::Latency(8_000)));
    platform.label(late, "run:dev")?;
    record(&platform, "agent-run-late-forge", &platform.await_end(late).await?).await?;
    platform.finish().await
}
