//! A run is tried again: from the start, or from a step with what the attempt before had done.

use devkit::{
    github::{Effect, Fault},
    harness::REPOSITORY,
};
use domain::{
    ids::Attempt,
    run::{Outcome, Step},
};
use store::attempts;

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_publish_is_retried_without_paying_the_agent_again() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("good-fix")?;
    platform.forge.fail(Fault::once("POST", "/repos/*/pulls", Effect::Error(422)));
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
    platform.forge.comment("writer", REPOSITORY, number, "This came later.")?;
    platform.forge.comment("maintainer", REPOSITORY, number, "/retry from agent")?;
    let again = |run: &store::runs::Run| run.attempt.0 == 2 && run.outcome.is_some();
    let second = platform.await_run(number, "tried again", again).await?;
    assert_eq!(second.base_sha, first.base_sha);
    let attempts = attempts::list(&mut *platform.store().acquire().await?, first.id).await?;
    let prompts: Vec<_> = attempts.iter().map(|attempt| attempt.prompt.clone().unwrap_or_default()).collect();
    assert_eq!(prompts[0], prompts[1], "the stored prompt is used again");
    assert!(prompts[0].contains("scenario:unauthorised"), "{}", prompts[0]);

    platform.forge.comment("maintainer", REPOSITORY, number, "/retry from prompt")?;
    let again = |run: &store::runs::Run| run.attempt.0 == 3 && run.outcome.is_some();
    platform.await_run(number, "tried once more", again).await?;
    let third = attempts::get(&mut *platform.store().acquire().await?, first.id, Attempt(3)).await?;
    assert!(third.prompt.is_some_and(|prompt| prompt.contains("This came later.")), "written anew");
    platform.finish().await
}

/// What the lost attempt never came to is done, though the wish would have left it out.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_from_beyond_what_was_reached_begins_where_it_can() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("two-halves")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    platform.kill_job(run.id, run.attempt).await?;
    assert_eq!(platform.await_end(number).await?.outcome, Some(Outcome::Lost));

    platform.forge.comment("maintainer", REPOSITORY, number, "/retry from collect")?;
    let again = |run: &store::runs::Run| run.attempt.0 == 2 && run.outcome.is_some();
    let calls = platform.model.requests().len();
    let second = platform.await_run(number, "tried again", again).await?;
    // Half of its work was lost with the first attempt, which the checks see.
    assert_eq!(second.outcome, Some(Outcome::ChecksFailed), "{second:?}");
    assert!(platform.model.requests().len() > calls, "the agent worked again");
    let attempts = attempts::list(&mut *platform.store().acquire().await?, run.id).await?;
    assert_eq!(attempts[1].from_step, Some(Step::Launch));
    assert_eq!(attempts[0].prompt, attempts[1].prompt, "and what was done before is used again");
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outsiders_retry_leaves_the_run_as_it_was() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("unauthorised")?;
    platform.label(number, "run:dev")?;
    let first = platform.await_end(number).await?;
    let calls = platform.model.requests().len();
    platform.forge.comment("outsider", REPOSITORY, number, "/retry")?;
    let again = |attempt: u32| move |run: &store::runs::Run| run.attempt.0 == attempt && run.outcome.is_some();
    let kept = platform.await_run(number, "refused", again(2)).await?;
    assert_eq!((kept.outcome, &kept.cause, kept.step), (first.outcome, &first.cause, Some(Step::Settle)), "{kept:?}");
    assert_eq!(kept.finished_at, first.finished_at);
    let refused = store::attempts::get(&mut *platform.store().acquire().await?, kept.id, kept.attempt).await?;
    assert_eq!((refused.outcome, refused.withdrawn), (Some(Outcome::Refused), true), "{refused:?}");
    assert!(refused.cause.as_deref().is_some_and(|cause| cause.contains("outsider")), "{:?}", refused.cause);
    assert_eq!(platform.model.requests().len(), calls);

    // Who may, goes on from the work of the attempt that ran.
    platform.forge.comment("maintainer", REPOSITORY, number, "/retry from agent")?;
    let third = platform.await_run(number, "tried again", again(3)).await?;
    assert_eq!((third.outcome, &third.base_sha), (Some(Outcome::Failed), &first.base_sha), "{third:?}");
    platform
        .await_that("the label says so", async || {
            let labels = platform.forge.labels(REPOSITORY, number)?;
            Ok(labels.contains(&"codex:failed".to_owned()).then_some(()))
        })
        .await?;
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_the_forge_is_shown_with_its_end() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("good-fix")?;
    platform.forge.fail(Fault::once("POST", "/repos/*/pulls", Effect::SecondaryLimit { status: 403, retry_after: 4 }));
    platform.label(number, "run:dev")?;
    let waiting = platform
        .await_that("publishing waits", async || {
            let Some(run) = platform.run_of(number).await? else { return Ok(None) };
            let steps = store::steps::list(&mut *platform.store().acquire().await?, run.id).await?;
            Ok(steps.into_iter().find(|step| step.step == Step::Publish && step.wait_until.is_some()))
        })
        .await?;
    assert!(waiting.wait_until > Some(waiting.started_at), "{waiting:?}");
    assert!(waiting.error.as_deref().is_some_and(|error| error.contains("limits our requests")), "{waiting:?}");
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::PullRequestOpen), "{run:?}");
    let steps = store::steps::list(&mut *platform.store().acquire().await?, run.id).await?;
    assert!(steps.iter().all(|step| step.wait_until.is_none()), "{steps:?}");
    platform.finish().await
}
