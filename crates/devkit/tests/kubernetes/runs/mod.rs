//! Whole runs whose Jobs are real ones: the same verbs as with processes, and what only a cluster does to a Job.

mod outages;
pub(super) mod stage;

use std::time::{Duration, Instant};

use anyhow::bail;
use devkit::harness::{Hosting, Platform, REPOSITORY, Victim};
use domain::{
    ids::Attempt,
    job_ending::FailureClass,
    run::{Outcome, Step, comment_marker},
};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::Api;
use store::{job_events, job_failures, runs::Run};

use self::stage::Stage;
use crate::world::World;

/// Writes `services.yaml` for the runs to come.
async fn settings(platform: &Platform, text: &str) -> anyhow::Result<()> {
    platform.forge.commit("writer", REPOSITORY, "main", &[("services.yaml", Some(text))]).await?;
    Ok(())
}

/// A run that ends as lost, and what is kept about it and told about it.
async fn lost(platform: &Platform, scenario: &str, classes: &[FailureClass]) -> anyhow::Result<Run> {
    let number = platform.open_issue(scenario)?;
    platform.label(number, "run:dev")?;
    let run = platform.await_end(number).await?;
    let mut conn = platform.store().acquire().await?;
    let failure = job_failures::get(&mut conn, run.id, run.attempt).await?;
    let class = failure.map(|failure| failure.class).filter(|class| classes.contains(class));
    let Some(class) = class.filter(|_| run.outcome == Some(Outcome::Lost)) else { bail!("{run:?}") };
    let marker = comment_marker(run.id);
    let next_step = class.next_step().split('`').next().unwrap_or_default().to_owned();
    platform
        .await_that("the comment says what to do", async || {
            let comments = platform.forge.comments(REPOSITORY, number)?;
            let told =
                comments.iter().any(|comment| comment.body.contains(&marker) && comment.body.contains(&next_step));
            Ok(told.then_some(()))
        })
        .await?;
    Ok(run)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_becomes_a_pull_request_and_its_job_goes() -> anyhow::Result<()> {
    let stage = Stage::new().await?;
    let platform = &stage.platform;
    let number = platform.open_issue("good-fix")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::PullRequestOpen), "{run:?}");
    let (namespace, job) = stage.job_of(&run).await?;
    let jobs: Api<Job> = Api::namespaced(World::new().await.client, &namespace);
    platform
        .await_that("its Job is gone", async || Ok(jobs.get_opt(&job.name()).await?.is_none().then_some(())))
        .await?;
    let told = job_events::list(&mut *platform.store().acquire().await?, run.id, run.attempt).await?;
    assert!(told.iter().any(|event| event.reason == "Scheduled"), "{told:?}");
    stage.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_that_fail_are_told() -> anyhow::Result<()> {
    let stage = Stage::new().await?;
    let platform = &stage.platform;
    let number = platform.open_issue("broken-tests")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::ChecksFailed), "{run:?}");
    stage.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_cancel_nothing_lives_for_15_seconds_more() -> anyhow::Result<()> {
    let stage = Stage::new().await?;
    let platform = &stage.platform;
    let number = platform.open_issue("endless-loop")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    platform
        .await_that("the pod runs", async || {
            let runs = |pod: &Pod| pod.status.as_ref().is_some_and(|of| of.phase.as_deref() == Some("Running"));
            Ok(stage.pods_of(&run).await?.1.iter().any(runs).then_some(()))
        })
        .await?;
    platform.forge.comment("maintainer", REPOSITORY, number, "/cancel")?;
    let begun = Instant::now();
    platform.await_that("the pod is gone", async || Ok(stage.pods_of(&run).await?.1.is_empty().then_some(()))).await?;
    assert!(begun.elapsed() <= Duration::from_secs(15), "it took {:?}", begun.elapsed());
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::Cancelled), "{run:?}");
    stage.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cluster_does_to_a_job_has_a_class_and_a_next_step() -> anyhow::Result<()> {
    let stage = Stage::new().await?;
    let platform = &stage.platform;
    // Shared memory can't be taken back, and belongs to no process: the biggest one goes, and that is the runner. With programs that
    // do not fit, the kernel would read them again and again for as long as the Job may take.
    let too_much = "{name: fill, run: 'head -c 60m /dev/zero > /dev/shm/fill'}";
    settings(platform, &format!("version: 1\nruntime: {{memory: 64Mi}}\nsetup: [{too_much}]\n")).await?;
    // The node misses a reason now and then.
    lost(platform, "good-fix", &[FailureClass::OutOfMemory, FailureClass::PossiblyOutOfMemory]).await?;
    settings(platform, "version: 1\nruntime: {image: '127.0.0.1:9/nothing:1'}\n").await?;
    let run = lost(platform, "good-fix", &[FailureClass::Image]).await?;
    assert!(run.cause.as_deref().is_some_and(|cause| cause.contains("127.0.0.1:9/nothing:1")), "{:?}", run.cause);
    stage.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_survives_the_death_of_the_worker_at_each_step() -> anyhow::Result<()> {
    let mut stage = Stage::with(Hosting::Processes, None).await?;
    let steps = [Step::Clone, Step::Launch, Step::Agent, Step::Collect, Step::Publish];
    for step in steps {
        let platform = &mut stage.platform;
        let number = platform.open_issue("good-fix")?;
        platform.label(number, "run:dev")?;
        platform.await_run(number, step.as_str(), |run| run.step >= Some(step) || run.outcome.is_some()).await?;
        platform.kill(Victim::Worker).await?;
        let run = platform.await_end(number).await?;
        assert_eq!((run.outcome, run.attempt), (Some(Outcome::PullRequestOpen), Attempt::FIRST), "{step}: {run:?}");
    }
    stage.finish().await
}
