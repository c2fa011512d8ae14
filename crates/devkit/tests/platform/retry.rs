//! A run is tried again: from the start, or from a step with what the attempt before had done.

use devkit::{
    github::{Effect, Fault},
    harness::REPOSITORY,
};
use domain::run::{Outcome, Step};

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_publish_is_retried_without_paying_the_agent_again() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("good-fix")?;
    platform.forge.fail(Fault {
        method: Some("POST".into()),
        path: Some("/repos/*/pulls".into()),
        times: 1,
        effect: Effect::Error(422),
    });
    platform.label(number, "run:dev")?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::Failed), "{run:?}");
    let calls = platform.model.requests().len();

    platform.forge.comment("maintainer", REPOSITORY, number, "/retry from publish")?;
    let again = |run: &store::runs::Run| run.attempt.0 == 2 && run.outcome.is_some();
    let run = platform.await_run(number, "tried again", again).await?;
    assert_eq!(run.outcome, Some(Outcome::PullRequestOpen), "{run:?}");
    assert_eq!(platform.model.requests().len(), calls, "the agent was not asked again");
    assert_eq!(platform.forge.pulls(REPOSITORY)?.len(), 1);
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_from_the_agent_keeps_the_pinned_base() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("unauthorised")?;
    platform.label(number, "run:dev")?;
    let first = platform.await_end(number).await?;
    assert_eq!(first.outcome, Some(Outcome::Failed), "{first:?}");
    platform.forge.commit("writer", REPOSITORY, "main", &[("NEWS.md", Some("News.\n"))]).await?;
    platform.forge.comment("maintainer", REPOSITORY, number, "/retry from agent")?;
    let again = |run: &store::runs::Run| run.attempt.0 == 2 && run.outcome.is_some();
    let second = platform.await_run(number, "tried again", again).await?;
    assert_eq!(second.base_sha, first.base_sha);
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outsider_gets_no_retry_on_somebody_elses_right() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("no-change")?;
    platform.label(number, "run:dev")?;
    platform.await_end(number).await?;
    let calls = platform.model.requests().len();
    platform.forge.comment("outsider", REPOSITORY, number, "/retry")?;
    let again = |run: &store::runs::Run| run.attempt.0 == 2 && run.outcome.is_some();
    let run = platform.await_run(number, "tried again", again).await?;
    assert_eq!((run.outcome, run.step), (Some(Outcome::Refused), Some(Step::Authorise)), "{run:?}");
    assert_eq!(platform.model.requests().len(), calls);
    platform.finish().await
}
