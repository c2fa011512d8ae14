//! When a run is shown on the forge, and that what is shown is how things are: also where the forge is slow.

use std::time::Duration;

use anyhow::Context;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use devkit::{
    github::{Effect, Fault},
    harness::{Hosting, Platform, REPOSITORY, until},
};
use domain::run::{Outcome, Step, comment_marker};
use store::{
    benching,
    runs::Run,
    slots,
    steps::{self, StepKey},
};
use workflows::messages::Shown;

use super::{in_engine, replay};

/// What is told of a run that is the next to get a slot, and of the one after it.
const NEXT: &str = "next in line";
const SECOND: &str = "number 2 in line";

/// Sooner than a run that waits asks again for its slot, and is shown anew for that.
const SOON: Duration = Duration::from_secs(40);

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

/// Waits until the slow request is on its way, so that what it writes was made up before.
async fn under_way(platform: &Platform) -> anyhow::Result<()> {
    let on_its_way = async || Ok((platform.forge.faults_to_come() == 0).then_some(()));
    platform.await_that("the slow request is on its way", on_its_way).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_long_before_the_agent_is_shown_meanwhile() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("no-change")?;
    // Asked when the prompt is written: at once, and by an activity when that takes too long.
    let late = Effect::Latency(12_000);
    platform.forge.fail(Fault { times: 2, ..Fault::once("GET", format!("/repos/*/issues/{number}"), late) });
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
    platform.forge.fail(Fault::once("POST", format!("/repos/*/issues/{third}/comments"), Effect::Latency(3_000)));
    let last = line_up(&platform, third).await?;
    under_way(&platform).await?;
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
    platform.forge.fail(Fault::once("PATCH", format!("/repos/*/issues/comments/{comment}"), Effect::Latency(9_000)));
    let moving = async {
        under_way(&platform).await?;
        slip_away(&platform, &before).await
    };
    let (shown, moved) = tokio::join!(platform.look(&last), moving);
    moved?;
    assert!(!shown?.moved_on, "what had changed was shown");
    let body = told(&platform, third, &last)?;
    assert!(body.as_ref().is_some_and(|body| body.contains(NEXT)), "{body:?}");
    let_go(platform, (second, [first, third])).await
}

/// The model gateway writes such waits down; it reaches no forge.
#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_the_model_is_shown_as_long_as_it_lasts_also_after_another_worker_took_over() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("held")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    await_told(&platform, number, &run, Step::Agent.describe()).await?;
    let key = StepKey { run: run.id, attempt: run.attempt, step: Step::Agent };
    let waits = async |minutes| {
        let until = chrono::Utc::now() + chrono::TimeDelta::minutes(minutes);
        steps::waits(&mut *platform.store().acquire().await?, key, "The limit is reached.", until).await?;
        await_told(&platform, number, &run, &format!("wait until {}", until.format("%H:%M:%S"))).await
    };
    waits(5).await?;
    platform.renew_worker().await?;
    waits(7).await?;
    steps::waits_no_longer(&mut *platform.store().acquire().await?, key).await?;
    let over = async || Ok(told(&platform, number, &run)?.filter(|body| !body.contains("wait until")).map(drop));
    platform.await_that("no wait is told of", over).await?;
    platform.model.let_go(&format!("The task: issue #{number}\n"));
    assert_eq!(platform.await_end(number).await?.outcome, Some(Outcome::NoChange));
    platform.finish().await
}

/// More than can be shown within the time that is waited for a write at once, so that some are put off.
const MANY: usize = 20;

/// How often the showing of a run was tried, each time that it has ended; and how long the run was to wait after each.
async fn tries(platform: &Platform, run: &Run) -> anyhow::Result<(Vec<u64>, Vec<u64>)> {
    let history = in_engine::history(platform, run).await?;
    replay::replays(&history).await?;
    let history: serde_json::Value = serde_json::from_slice(&history)?;
    let events = history["events"].as_array().context("a history has events")?;
    let shows = |scheduled: &serde_json::Value| {
        events.iter().any(|event| {
            let is_of_show =
                event["attributes"]["ActivityTaskScheduledEventAttributes"]["activity_type"]["name"] == "show_state";
            is_of_show && event["event_id"] == *scheduled
        })
    };
    let of_shows = |kind: &str| {
        let all = events.iter().map(|event| event["attributes"][kind].clone());
        all.filter(|of| shows(&of["scheduled_event_id"])).collect::<Vec<_>>()
    };
    let tries = of_shows("ActivityTaskStartedEventAttributes").iter().filter_map(|of| of["attempt"].as_u64()).collect();
    let mut pauses = Vec::new();
    for done in of_shows("ActivityTaskCompletedEventAttributes") {
        let data = done["result"]["payloads"][0]["data"].as_str().context("a look answers")?;
        let shown: Shown = serde_json::from_slice(&BASE64_STANDARD.decode(data)?)?;
        pauses.push(shown.pause_secs);
    }
    Ok((tries, pauses))
}

/// Roles of their own keep the pace of writes that GitHub asks for: ten at once, then one a second. Who is put off has not failed.
#[tokio::test(flavor = "multi_thread")]
async fn many_that_are_to_be_shown_at_once_wait_for_their_turn_and_not_in_vain() -> anyhow::Result<()> {
    let platform = super::start(1, Hosting::Processes).await?;
    let numbers = (0..MANY).map(|_| platform.open_issue("held")).collect::<anyhow::Result<Vec<u64>>>()?;
    for number in &numbers {
        platform.label(*number, "run:dev")?;
    }
    let mut runs = Vec::new();
    for number in &numbers {
        let run = platform.await_run(*number, "there", |_| true).await?;
        let shown = async || Ok(told(&platform, *number, &run)?.map(drop));
        platform.await_that(&format!("#{number} is shown"), shown).await?;
        runs.push(run);
    }
    for run in &runs {
        let (tries, pauses) = tries(&platform, run).await?;
        assert!(!tries.is_empty() && tries.iter().all(|tries| *tries == 1), "{tries:?}");
        // Who is sent away has more than ten seconds to wait.
        assert!(!pauses.is_empty() && pauses.iter().all(|pause| *pause <= 10), "{pauses:?}");
    }
    // Their ends are shown as fast as can be: they are not what this is about.
    benching::lift_write_limits(platform.store()).await?;
    for number in &numbers {
        platform.forge.comment("maintainer", REPOSITORY, *number, "/cancel")?;
    }
    for number in numbers {
        assert_eq!(platform.await_end(number).await?.outcome, Some(Outcome::Cancelled));
    }
    platform.finish().await
}
