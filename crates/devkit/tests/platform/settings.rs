//! The project's own settings, from `services.yaml` on the default branch.

use devkit::harness::REPOSITORY;
use domain::run::Outcome;
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
