//! The project's own settings, from `services.yaml` on the default branch.

use devkit::harness::REPOSITORY;
use domain::run::{Outcome, Step};
use store::repositories;

#[tokio::test(flavor = "multi_thread")]
async fn a_pushed_trigger_counts_and_a_broken_file_is_told() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let yaml = "version: 1\ntriggers:\n  labels:\n    ai-please: planner\n";
    platform.forge.commit("writer", REPOSITORY, "main", &[("services.yaml", Some(yaml))]).await?;
    let triggers = async |repository| {
        let mut conn = platform.store().acquire().await?;
        anyhow::Ok(repositories::get(&mut conn, repository).await?)
    };
    platform
        .await_that("the pushed settings are read", async || {
            let config = triggers(platform.repository.id).await?.config.unwrap_or_default();
            Ok((config["triggers"]["labels"]["ai-please"] == "planner").then_some(()))
        })
        .await?;
    let number = platform.open_issue("plan")?;
    platform.label(number, "ai-please")?;
    assert_eq!(platform.await_end(number).await?.outcome, Some(Outcome::AnswerPosted));

    platform.forge.commit("writer", REPOSITORY, "main", &[("services.yaml", Some("version: 1\nchekcs: []\n"))]).await?;
    let problem = platform
        .await_that("the problem is stored", async || Ok(triggers(platform.repository.id).await?.config_error))
        .await?;
    assert!(problem.contains("chekcs") && problem.contains("2"), "{problem}");
    let number = platform.open_issue("plan")?;
    platform.label(number, "ai-please")?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::Failed), "the last good triggers count, the run tells the problem: {run:?}");
    assert!(run.cause.as_deref().is_some_and(|cause| cause.contains("chekcs")), "{:?}", run.cause);
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn more_slots_let_a_waiting_run_begin() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let busy = platform.open_issue("endless-loop")?;
    platform.label(busy, "run:dev")?;
    platform.await_run(busy, "at work", |run| run.step == Some(Step::Agent)).await?;
    let waiting = platform.open_issue("no-change")?;
    platform.label(waiting, "run:dev")?;
    platform.await_run(waiting, "waiting", |run| run.slot_place == Some(1)).await?;
    let yaml = "version: 1\nslots: 2\n";
    platform.forge.commit("writer", REPOSITORY, "main", &[("services.yaml", Some(yaml))]).await?;
    assert_eq!(platform.await_end(waiting).await?.outcome, Some(Outcome::NoChange));
    platform.forge.comment("maintainer", REPOSITORY, busy, "/cancel")?;
    assert_eq!(platform.await_end(busy).await?.outcome, Some(Outcome::Cancelled));
    platform.finish().await
}
