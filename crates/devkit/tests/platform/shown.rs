//! When a run is shown on the forge, and that what is shown is how things are: also where the forge is slow.

use std::time::Duration;

use anyhow::Context;
use devkit::{
    github::{Effect, Fault},
    harness::{Platform, REPOSITORY, until},
};
use domain::run::{Outcome, StateLabel, Step, comment_marker};
use store::{runs::Run, slots};

/// What is told of a run that is the next to get a slot, and of the one after it.
const NEXT: &str = "next in line";
const SECOND: &str = "number 2 in line";

/// Sooner than a run that waits asks again for its slot, and is shown anew for that.
const SOON: Duration = Duration::from_secs(40);

/// The next request of this kind takes longer.
fn slow(platform: &Platform, method: &str, path: String, by: Duration) -> anyhow::Result<()> {
    let effect = Effect::Latency(u64::try_from(by.as_millis())?);
    platform.forge.fail(Fault { method: Some(method.to_owned()), path: Some(path), times: 1, effect });
    Ok(())
}

/// The sticky comment of a run, if it is there.
fn told(platform: &Platform, number: u64, run: &Run) -> anyhow::Result<Option<String>> {
    let marker = comment_marker(run.id);
    let comments = platform.forge.comments(REPOSITORY, number)?;
    Ok(comments.into_iter().map(|comment| comment.body).find(|body| body.contains(&marker)))
}

async fn await_told(platform: &Platform, number: u64, run: &Run, what: &str) -> anyhow::Result<()> {
    let looking = async || Ok(told(platform, number, run)?.filter(|body| body.contains(what)).map(drop));
    platform.await_that(&format!("`{what}` is told on #{number}"), looking).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_long_before_the_agent_is_shown_meanwhile() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("no-change")?;
    // Asked when the prompt is written.
    slow(&platform, "GET", format!("/repos/*/issues/{number}"), Duration::from_secs(12))?;
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "writing the prompt", |run| run.step == Some(Step::Prompt)).await?;
    await_told(&platform, number, &run, Step::Prompt.describe()).await?;
    let run = platform.await_run(number, "there", |_| true).await?;
    assert_eq!(run.step, Some(Step::Prompt), "it was shown while the forge kept the run waiting");
    assert_eq!(platform.await_end(number).await?.outcome, Some(Outcome::NoChange));
    platform.finish().await
}

/// An issue whose run waits for a slot, or has the only one and is held.
async fn in_line(platform: &Platform) -> anyhow::Result<(u64, Run)> {
    let number = platform.open_issue("held")?;
    Ok((number, line_up(platform, number).await?))
}

async fn line_up(platform: &Platform, number: u64) -> anyhow::Result<Run> {
    platform.label(number, "run:dev")?;
    platform.await_run(number, "in the queue", |run| run.step >= Some(Step::Slot)).await
}

/// Takes a run out of the line, in one moment and without a word to anybody.
async fn slip_away(platform: &Platform, run: &Run) -> anyhow::Result<()> {
    let mut conn = platform.store().acquire().await?;
    let granted = slots::release(&mut conn, run.id, run.attempt, chrono::Utc::now()).await?;
    assert!(granted.is_empty(), "the slot is held by another");
    Ok(())
}

/// The one that slipped away is ended, the other two end by themselves.
async fn let_go(platform: Platform, (left, stay): (u64, [u64; 2])) -> anyhow::Result<()> {
    platform.forge.comment("maintainer", REPOSITORY, left, "/cancel")?;
    assert_eq!(platform.await_end(left).await?.outcome, Some(Outcome::Cancelled));
    for number in stay {
        platform.model.let_go(&format!("The task: issue #{number}\n"));
        assert_eq!(platform.await_end(number).await?.outcome, Some(Outcome::NoChange));
    }
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_while_it_is_shown_is_shown_soon() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let ((first, _), (second, before)) = (in_line(&platform).await?, in_line(&platform).await?);
    let third = platform.open_issue("held")?;
    slow(&platform, "POST", format!("/repos/*/issues/{third}/comments"), Duration::from_secs(3))?;
    let last = line_up(&platform, third).await?;
    platform
        .await_that("its comment is on the way", async || {
            let labels = platform.forge.labels(REPOSITORY, third)?;
            Ok(labels.contains(&StateLabel::Waiting.as_str().to_owned()).then_some(()))
        })
        .await?;
    slip_away(&platform, &before).await?;
    let shown = async || Ok(told(&platform, third, &last)?.filter(|body| body.contains(NEXT)).map(drop));
    assert!(until(SOON, shown).await?.is_some(), "{:?}", told(&platform, third, &last)?);
    let_go(platform, (second, [first, third])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_may_write_after_a_later_one_looks_again_before_it_ends() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let ((first, _), (second, before)) = (in_line(&platform).await?, in_line(&platform).await?);
    let (third, last) = in_line(&platform).await?;
    await_told(&platform, third, &last, SECOND).await?;
    assert!(!platform.look(&last).await?.moved_on, "nothing has changed meanwhile");
    let comment = platform.run_of(third).await?.and_then(|run| run.comment_id).context("it was shown")?;
    slow(&platform, "PATCH", format!("/repos/*/issues/comments/{comment}"), Duration::from_secs(6))?;
    let moving = async {
        // Not before what is written late is made up.
        tokio::time::sleep(Duration::from_secs(2)).await;
        slip_away(&platform, &before).await
    };
    let (shown, moved) = tokio::join!(platform.look(&last), moving);
    moved?;
    assert!(!shown?.moved_on, "what had changed was shown");
    let body = told(&platform, third, &last)?;
    assert!(body.as_ref().is_some_and(|body| body.contains(NEXT)), "{body:?}");
    let_go(platform, (second, [first, third])).await
}
