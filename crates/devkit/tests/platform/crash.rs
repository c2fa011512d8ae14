//! Gateway, worker and Temporal are killed at each step of a run in turn; the end is that of an undisturbed run, once. So it is when one of the SDK's
//! workers takes over from another.

use devkit::{
    github::{Effect, Fault},
    harness::{Hosting, Platform, REPOSITORY, Victim},
};
use domain::run::{Outcome, Step, comment_marker};
use store::steps;

use super::{in_engine, slow_forge::MAY_THEY};

/// Steps at whose beginning something dies. Settling is over too soon to be met from outside.
const STEPS: [Step; 8] =
    [Step::Authorise, Step::Slot, Step::Clone, Step::Prompt, Step::Launch, Step::Agent, Step::Collect, Step::Publish];

/// One run, during which `victim` dies as soon as the run has come to `step`.
async fn killed_at(platform: &mut Platform, victim: Victim, step: Step) -> anyhow::Result<()> {
    let number = platform.open_issue("good-fix")?;
    platform.label(number, "run:dev")?;
    platform.await_run(number, step.as_str(), |run| run.step >= Some(step) || run.outcome.is_some()).await?;
    platform.kill(victim).await?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::PullRequestOpen), "{victim:?} died at {step}: {run:?}");
    assert_eq!(run.attempt.0, 1);

    let branch = run.branch.clone().unwrap_or_default();
    let of_this_issue = format!("refs/heads/codex/{number}-");
    let branches = platform.forge.refs(REPOSITORY).await?;
    assert_eq!(branches.keys().filter(|name| name.starts_with(&of_this_issue)).count(), 1, "{branches:?}");
    let pulls = platform.forge.pulls(REPOSITORY)?;
    let ours = pulls.iter().filter(|pull| pull.pull.as_ref().is_some_and(|of| of.head_ref == branch)).count();
    assert_eq!(ours, 1, "{victim:?} died at {step}");
    let marker = comment_marker(run.id);
    platform
        .await_that("one sticky comment with the end", async || {
            let comments = platform.forge.comments(REPOSITORY, number)?;
            let sticky: Vec<_> = comments.iter().filter(|comment| comment.body.contains(&marker)).collect();
            assert!(sticky.len() <= 1, "{victim:?} died at {step}: {sticky:?}");
            let pull = format!("#{}", run.pr_number.unwrap_or_default());
            Ok(sticky.first().filter(|comment| comment.body.contains(&pull)).map(|_| ()))
        })
        .await?;
    platform
        .await_that("one state label: done", async || {
            let labels = platform.forge.labels(REPOSITORY, number)?;
            let states: Vec<_> = labels.iter().filter(|label| label.starts_with("codex:")).collect();
            Ok((states == ["codex:done"]).then_some(()))
        })
        .await
}

async fn survives_the_death_of(victim: Victim) -> anyhow::Result<()> {
    let mut platform = super::start(1, Hosting::Processes).await?;
    for step in STEPS {
        killed_at(&mut platform, victim, step).await?;
    }
    platform.finish().await
}

/// All with `--full`, else one a day in rotation.
fn turn_of(victim: Victim) -> bool {
    if std::env::var_os("CODEX_K8S_TEST_FULL").is_some() {
        return true;
    }
    let days = chrono::Utc::now().timestamp() / 86_400;
    let turn = usize::try_from(days).unwrap_or_default() % Victim::ALL.len();
    if Victim::ALL[turn] != victim {
        super::skipped(
            &format!("the death of {victim:?}"),
            "not its turn today; `cargo dev test --full` kills every role",
        );
    }
    Victim::ALL[turn] == victim
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_survives_the_death_of_the_worker_at_each_step() -> anyhow::Result<()> {
    if turn_of(Victim::Worker) { survives_the_death_of(Victim::Worker).await } else { Ok(()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_survives_the_death_of_the_gateway_at_each_step() -> anyhow::Result<()> {
    if turn_of(Victim::Gateway) { survives_the_death_of(Victim::Gateway).await } else { Ok(()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_survives_the_death_of_temporal_at_each_step() -> anyhow::Result<()> {
    if turn_of(Victim::Temporal) { survives_the_death_of(Victim::Temporal).await } else { Ok(()) }
}

/// The engine knows of nothing until the first task of a workflow is done, and by then there may be a Job.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_forge_has_said_before_a_worker_died_is_not_asked_again() -> anyhow::Result<()> {
    let mut platform = super::start(1, Hosting::Processes).await?;
    let number = platform.open_issue("no-change")?;
    platform.forge.fail(Fault::once("GET", format!("/repos/*/issues/{number}"), Effect::Latency(9_000)));
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "writing the prompt", |run| run.step == Some(Step::Prompt)).await?;
    platform.forge.fail(Fault { times: u32::MAX, ..Fault::once("GET", MAY_THEY, Effect::Error(503)) });
    platform.kill(Victim::Worker).await?;
    let history = String::from_utf8(in_engine::history(&platform, &run).await?)?;
    assert!(!history.contains("MarkerRecordedEventAttributes"), "the task was done before its worker died: {history}");
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::NoChange), "{run:?}");
    platform.finish().await
}

/// Both wait for the next worker then, and are told to it in one breath.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_and_a_timer_that_end_while_no_worker_is_there_both_count() -> anyhow::Result<()> {
    let mut platform = super::start(1, Hosting::Processes).await?;
    let number = platform.open_issue("endless-loop")?;
    // Until the agent works, a timer runs towards the first look of the forge: from when the prompt was not to be had at once.
    let late = Effect::Latency(9_000);
    platform.forge.fail(Fault { times: 2, ..Fault::once("GET", format!("/repos/*/issues/{number}"), late) });
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "writing the prompt", |run| run.step == Some(Step::Prompt)).await?;
    platform
        .await_that("an activity writes the prompt", async || {
            Ok(in_engine::is_at(&platform, &run, "write_prompt").await?.then_some(()))
        })
        .await?;
    platform.stop(Victim::Worker).await?;
    platform.forge.comment("maintainer", REPOSITORY, number, "/cancel")?;
    platform
        .await_that("cancel and timer", async || {
            let history = String::from_utf8(in_engine::history(&platform, &run).await?)?;
            let both = ["WorkflowExecutionCancelRequestedEventAttributes", "TimerFiredEventAttributes"];
            Ok(both.iter().all(|event| history.contains(event)).then_some(()))
        })
        .await?;
    platform.bring_up(Victim::Worker).await?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::Cancelled), "{run:?}");
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_worker_takes_over_while_an_agent_is_at_work() -> anyhow::Result<()> {
    let platform = super::platform_with(2).await?;
    let number = platform.open_issue("slow")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    platform
        .await_that("the Job is watched by the worker that is to go", async || {
            Ok(in_engine::is_at(&platform, &run, "watch_job").await?.then_some(()))
        })
        .await?;
    platform.renew_worker().await?;
    platform
        .await_that("the one before let go of the Job's watch", async || {
            let watch = [("activity", "watch_job")];
            let broken_off = platform.scrape().await?["worker"].sum("codexk8s_activity_failures_total", &watch);
            Ok((broken_off >= 1.0).then_some(()))
        })
        .await?;
    platform.await_run(number, "still at work", |run| run.step == Some(Step::Agent)).await?;
    let run = platform.await_end(number).await?;
    assert_eq!((run.attempt.0, run.outcome), (1, Some(Outcome::PullRequestOpen)), "{run:?}");
    let number = platform.open_issue("no-change")?;
    platform.label(number, "run:dev")?;
    assert_eq!(platform.await_end(number).await?.outcome, Some(Outcome::NoChange));
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_ends_where_it_began_while_another_worker_takes_over() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("no-change")?;
    // For so long the worker that has the workflow does not wait, and from then on it is longer than anything gets when the whole process ends.
    platform.forge.fail(Fault::once("GET", "/*/info/refs", Effect::Latency(15_000)));
    // This one it asks by itself.
    platform.forge.fail(Fault::once("GET", format!("/repos/*/issues/{number}"), Effect::Latency(3_000)));
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "there", |_| true).await?;
    let tries = async |of: Step| {
        let steps = steps::list(&mut *platform.store().acquire().await?, run.id).await?;
        anyhow::Ok(steps.into_iter().find(|row| row.step == of).map_or(0, |row| row.tries))
    };
    for (step, number) in [(Step::Clone, 2), (Step::Prompt, 1)] {
        let begun = async || Ok((tries(step).await? == number).then_some(()));
        platform.await_that(&format!("{step} has begun {number} times"), begun).await?;
        platform.renew_worker().await?;
    }
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::NoChange), "{run:?}");
    assert_eq!((tries(Step::Clone).await?, tries(Step::Prompt).await?), (2, 1));
    platform.finish().await
}
