//! How a run can end otherwise, each judged from evidence.

use devkit::harness::REPOSITORY;
use domain::run::Outcome;

async fn ends_as(scenario: &str, expected: Outcome) -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue(scenario)?;
    platform.label(number, "run:dev")?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(expected), "{run:?}");
    assert!(run.cause.as_deref().is_some_and(|cause| cause.len() > 10), "{:?}", run.cause);
    let expected_pulls = usize::from(expected == Outcome::PullRequestOpen);
    assert_eq!(platform.forge.pulls(REPOSITORY)?.len(), expected_pulls);
    let label = if expected.is_success() { "codex:done" } else { "codex:failed" };
    platform
        .await_that(label, async || {
            Ok(platform.forge.labels(REPOSITORY, number)?.contains(&label.to_owned()).then_some(()))
        })
        .await?;
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_changes_nothing_opens_nothing() -> anyhow::Result<()> {
    ends_as("no-change", Outcome::NoChange).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_breaks_the_checks_is_not_published() -> anyhow::Result<()> {
    ends_as("broken-tests", Outcome::ChecksFailed).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_refuses_our_key_fails_the_run() -> anyhow::Result<()> {
    ends_as("unauthorised", Outcome::Failed).await
}
