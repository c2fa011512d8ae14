//! What happens to a run when something around its Job fails: its machine, its node's agent, the API server.

use std::time::Duration;

use anyhow::Context as _;
use devkit::harness::{Detour, Platform, REPOSITORY};
use domain::{
    ids::Attempt,
    job_ending::FailureClass,
    run::{Outcome, Step, comment_marker},
};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, EvictParams};
use nix::sys::signal::{Signal, kill};
use store::{JobState, attempts, checkpoints, job_failures, runs::Run};
use tokio::time::Instant;

use super::{Stage, settings};
use crate::{
    machine::{kubelet, processes},
    world::World,
};

/// How long the API server is away.
const AWAY: Duration = Duration::from_secs(60);

/// Has nothing of a pod go on, as on a machine that stands still.
fn freeze(pod: &Pod) {
    let uid = pod.metadata.uid.clone().unwrap();
    let other = uid.replace('-', "_");
    let frozen = processes("cgroup", |text| text.contains(&uid) || text.contains(&other));
    assert!(!frozen.is_empty(), "no process of the pod {uid} is on this machine");
    for pid in frozen {
        kill(pid, Signal::SIGSTOP).unwrap();
    }
}

/// An issue whose run is at work, its runner heard of.
async fn at_work(platform: &Platform, scenario: &str) -> anyhow::Result<(u64, Run)> {
    let number = platform.open_issue(scenario)?;
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    platform
        .await_that("the runner is heard of", async || {
            let attempt = attempts::get(&mut *platform.store().acquire().await?, run.id, run.attempt).await?;
            Ok((attempt.job_state == JobState::Running).then_some(()))
        })
        .await?;
    Ok((number, run))
}

fn let_go(platform: &Platform, number: u64) {
    platform.model.let_go(&format!("The task: issue #{number}\n"));
}

/// A run whose agent has half of its work behind it.
async fn half_done(platform: &Platform) -> anyhow::Result<(u64, Run)> {
    let (number, run) = at_work(platform, "two-halves").await?;
    platform
        .await_that("the first half is kept", async || {
            Ok(checkpoints::newest(&mut *platform.store().acquire().await?, run.id).await?)
        })
        .await?;
    Ok((number, run))
}

/// The run goes on in a second attempt, from the kept work and without being asked, to a pull request.
async fn goes_on(platform: &Platform, number: u64, class: FailureClass) -> anyhow::Result<()> {
    platform.await_run(number, "followed by another attempt", |run| run.attempt == Attempt(2)).await?;
    let run = platform.await_run(number, "gone on", |run| run.outcome.is_some()).await?;
    assert_eq!((run.attempt, run.outcome), (Attempt(2), Some(Outcome::PullRequestOpen)), "{run:?}");
    let mut conn = platform.store().acquire().await?;
    let failure = job_failures::get(&mut conn, run.id, Attempt::FIRST).await?;
    assert_eq!(failure.map(|failure| failure.class), Some(class));
    assert_eq!(attempts::get(&mut conn, run.id, Attempt(2)).await?.continues, Some(Attempt::FIRST));
    drop(conn);
    platform
        .await_that("the comment says that it went on, and why", async || {
            let comments = platform.forge.comments(REPOSITORY, number)?;
            let of_run = comments.iter().find(|comment| comment.body.contains(&comment_marker(run.id)));
            let words =
                ["Attempt 1 was lost, and the run went on by itself. The ", class.next_step(), "goes on from the work"];
            // Markup of the next step is taken for what it is.
            let told =
                |body: &str| words.iter().all(|words| body.contains(words.split('`').next().unwrap_or_default()));
            Ok(of_run.filter(|comment| told(&comment.body)).map(drop))
        })
        .await
}

/// Somebody drains the node: one pod has its time to end, the other has none.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_put_out_is_followed_by_another_attempt() -> anyhow::Result<()> {
    let stage = Stage::new().await?;
    let platform = &stage.platform;
    settings(platform, "version: 1\n").await?;
    let mut put_out = Vec::new();
    for grace in [None, Some(0)] {
        let (number, run) = half_done(platform).await?;
        let (pods, there) = stage.pods_of(&run).await?;
        for pod in there {
            let options = DeleteParams { grace_period_seconds: grace, ..DeleteParams::default() };
            let params = EvictParams { delete_options: Some(options), ..EvictParams::default() };
            pods.evict(&pod.metadata.name.unwrap_or_default(), &params).await?;
        }
        put_out.push(number);
    }
    for number in put_out {
        goes_on(platform, number, FailureClass::Evicted).await?;
    }
    stage.finish().await
}

/// What takes more than a minute goes on side by side.
#[tokio::test(flavor = "multi_thread")]
async fn what_takes_more_than_a_minute_is_survived() -> anyhow::Result<()> {
    let (silence, away) = tokio::join!(silence(), away());
    silence.context("an agent whose time is up, and a Job that falls silent")?;
    away.context("an API server that is away for a minute")
}

async fn silence() -> anyhow::Result<()> {
    let stage = Stage::new().await?;
    let platform = &stage.platform;
    settings(platform, "version: 1\nagents: {dev: {limits: {minutes: 1}}}\n").await?;
    let endless = platform.open_issue("endless-loop")?;
    platform.label(endless, "run:dev")?;
    let (silent, run) = half_done(platform).await?;
    stage.pods_of(&run).await?.1.iter().for_each(freeze);

    let ended = platform.await_end(endless).await?;
    assert_eq!(ended.outcome, Some(Outcome::BudgetSpent), "{ended:?}");
    assert!(ended.cause.as_deref().is_some_and(|cause| cause.contains("time was up")), "{ended:?}");

    goes_on(platform, silent, FailureClass::Silent).await?;
    stage.finish().await
}

/// One run ends meanwhile, one works, one begins.
async fn away() -> anyhow::Result<()> {
    let way = Detour::to(World::api_address()).await?;
    let stage = Stage::by(&way).await?;
    let platform = &stage.platform;
    settings(platform, "version: 1\n").await?;
    let (ends, _) = at_work(platform, "held").await?;
    let (works, _) = at_work(platform, "held").await?;

    way.cut();
    let back = Instant::now() + AWAY;
    let begins = platform.open_issue("good-fix")?;
    platform.label(begins, "run:dev")?;
    let_go(platform, ends);
    let ended = platform.await_end(ends).await?;
    assert!(Instant::now() < back, "it was to end while the API server was away");
    assert_eq!((ended.attempt, ended.outcome), (Attempt::FIRST, Some(Outcome::NoChange)), "{ended:?}");
    tokio::time::sleep_until(back).await;
    way.mend();

    let_go(platform, works);
    for (number, outcome) in [(works, Outcome::NoChange), (begins, Outcome::PullRequestOpen)] {
        let ended = platform.await_end(number).await?;
        assert_eq!((ended.attempt, ended.outcome), (Attempt::FIRST, Some(outcome)), "{ended:?}");
    }
    stage.finish().await
}

/// Only the devkit's own cluster lets us at it: who starts another kubelet there is its first process.
#[tokio::test(flavor = "multi_thread")]
async fn a_jobs_node_agent_that_is_started_again_disturbs_nothing() -> anyhow::Result<()> {
    let Some(killed) = kubelet() else {
        eprintln!("left out: this cluster's kubelet can't be killed from here");
        return Ok(());
    };
    let stage = Stage::new().await?;
    let platform = &stage.platform;
    settings(platform, "version: 1\n").await?;
    let (number, run) = at_work(platform, "held").await?;
    let uid = |pods: &[Pod]| pods.iter().map(|pod| pod.metadata.uid.clone()).collect::<Vec<_>>();
    let before = uid(&stage.pods_of(&run).await?.1);
    kill(killed, Signal::SIGKILL)?;
    platform
        .await_that("another kubelet has taken over", async || {
            Ok(kubelet().is_some_and(|now| now != killed).then_some(()))
        })
        .await?;
    assert_eq!(uid(&stage.pods_of(&run).await?.1), before);
    let_go(platform, number);
    let run = platform.await_end(number).await?;
    assert_eq!((run.attempt, run.outcome), (Attempt::FIRST, Some(Outcome::NoChange)), "{run:?}");
    stage.finish().await
}
