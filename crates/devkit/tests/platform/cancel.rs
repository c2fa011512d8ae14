//! People end runs: by a command, by taking the label off, by closing the issue.

use devkit::harness::{Platform, REPOSITORY};
use domain::run::{Outcome, Step};

async fn cancelled_by(end: impl AsyncFnOnce(&Platform, u64) -> anyhow::Result<()>) -> anyhow::Result<()> {
    cancelled_on(super::platform_with(1).await?, end).await
}

async fn cancelled_on(
    platform: Platform,
    end: impl AsyncFnOnce(&Platform, u64) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let number = platform.open_issue("endless-loop")?;
    platform.label(number, "run:dev")?;
    platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    end(&platform, number).await?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::Cancelled), "{run:?}");
    assert!(platform.forge.pulls(REPOSITORY)?.is_empty());
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_command_ends_the_run_and_its_job() -> anyhow::Result<()> {
    cancelled_by(async |platform, number| {
        platform.forge.comment("maintainer", REPOSITORY, number, "/cancel")?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apps_run_is_cancelled_too() -> anyhow::Result<()> {
    cancelled_on(super::platform_as_app(1).await?, async |platform, number| {
        platform.forge.comment("maintainer", REPOSITORY, number, "/cancel")?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn taking_the_label_off_ends_the_run() -> anyhow::Result<()> {
    cancelled_by(async |platform, number| {
        platform.forge.remove_label("maintainer", REPOSITORY, number, "run:dev")?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outsider_cannot_cancel() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("slow")?;
    platform.label(number, "run:dev")?;
    platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    platform.forge.comment("outsider", REPOSITORY, number, "/cancel")?;
    let run = platform.await_end(number).await?;
    assert_ne!(run.outcome, Some(Outcome::Cancelled), "{run:?}");
    platform.finish().await
}
