//! What the forge is asked before the agent starts is asked by the worker that has the workflow, at once. What the forge does not answer
//! soon is waited for by an activity, and holds up nothing else.

use std::time::Duration;

use anyhow::Context;
use devkit::{
    github::{Effect, Fault},
    harness::{Platform, REPOSITORY, until},
};
use domain::run::{Outcome, Step};
use store::{runs::Run, steps};

use super::{in_engine, replay};

/// Asked before a run may be had, about the one who labels.
pub(super) const MAY_THEY: &str = "/repos/*/collaborators/maintainer/permission";

/// The steps that are tried so.
const AT_FIRST: [(Step, &str); 4] = [
    (Step::Authorise, "authorise"),
    (Step::Clone, "prepare_workspace"),
    (Step::Prompt, "write_prompt"),
    (Step::Launch, "launch_job"),
];

/// What becomes of such a step, mostly: no activity, and one try. And where that was in vain.
const AT_ONCE: (bool, u32) = (false, 1);
const LATER: (bool, u32) = (true, 2);

/// Sooner than the forge answers.
const SOON: Duration = Duration::from_secs(30);

/// What was handed out to be done as an activity, and how often each step was tried. Another worker would have gone on with it as well.
async fn asked(platform: &Platform, run: &Run) -> anyhow::Result<[(bool, u32); 4]> {
    let _ = in_engine::workflow(platform, run).await?.get_result(Default::default()).await?;
    let history = in_engine::history(platform, run).await?;
    replay::replays(&history).await?;
    let history: serde_json::Value = serde_json::from_slice(&history)?;
    let events = history["events"].as_array().context("a history has events")?;
    let steps = steps::list(&mut *platform.store().acquire().await?, run.id).await?;
    Ok(AT_FIRST.map(|(step, activity)| {
        let name = |event: &serde_json::Value| {
            event["attributes"]["ActivityTaskScheduledEventAttributes"]["activity_type"]["name"] == activity
        };
        let tries = steps.iter().find(|row| row.step == step).map_or(0, |row| row.tries);
        (events.iter().any(name), tries)
    }))
}

async fn no_change(platform: &Platform, number: u64) -> anyhow::Result<Run> {
    platform.label(number, "run:dev")?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::NoChange), "{run:?}");
    Ok(run)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_answered_at_once_is_asked_again_by_an_activity() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("no-change")?;
    let run = no_change(&platform, number).await?;
    assert_eq!(asked(&platform, &run).await?, [AT_ONCE; 4], "all was answered at once");

    let number = platform.open_issue("no-change")?;
    platform.forge.fail(Fault::once("GET", MAY_THEY, Effect::Latency(8_000)));
    let run = no_change(&platform, number).await?;
    assert_eq!(asked(&platform, &run).await?, [LATER, AT_ONCE, AT_ONCE, AT_ONCE], "the sender's right came late");

    let number = platform.open_issue("no-change")?;
    platform.forge.fail(Fault::once("GET", "/*/info/refs", Effect::Latency(8_000)));
    let run = no_change(&platform, number).await?;
    assert_eq!(asked(&platform, &run).await?, [AT_ONCE, LATER, AT_ONCE, AT_ONCE], "the repository came late");

    let number = platform.open_issue("no-change")?;
    platform.forge.fail(Fault::once("GET", format!("/repos/*/issues/{number}"), Effect::Error(503)));
    let run = no_change(&platform, number).await?;
    assert_eq!(
        asked(&platform, &run).await?,
        [AT_ONCE, AT_ONCE, LATER, AT_ONCE],
        "the issue could not be had at first"
    );
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_for_the_forge_can_be_cancelled() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("no-change")?;
    // Longer than this test may take, whoever asks.
    let late = Effect::Latency(300_000);
    platform.forge.fail(Fault { times: 2, ..Fault::once("GET", format!("/repos/*/issues/{number}"), late) });
    platform.label(number, "run:dev")?;
    platform.await_run(number, "writing the prompt", |run| run.step == Some(Step::Prompt)).await?;
    platform.forge.comment("maintainer", REPOSITORY, number, "/cancel")?;
    let ended = until(SOON, async || Ok(platform.run_of(number).await?.filter(|run| run.outcome.is_some()))).await?;
    assert_eq!(ended.and_then(|run| run.outcome), Some(Outcome::Cancelled));
    platform.finish().await
}
