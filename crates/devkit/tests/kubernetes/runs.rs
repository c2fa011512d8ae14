//! Whole runs whose Jobs are real ones: the same verbs as with processes, and what only a cluster does to a Job.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::bail;
use devkit::harness::{Hosting, Identity, InCluster, Options, Platform, REPOSITORY, Victim};
use domain::{
    hook_log::WebhookMode,
    ids::Attempt,
    job_ending::FailureClass,
    run::{Outcome, Step, comment_marker},
};
use jobs::{JobRef, kubernetes};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use store::{job_events, job_failures, runs::Run};

use crate::world::World;

async fn start(hosting: Hosting) -> anyhow::Result<Platform> {
    let world = World::new().await;
    let cluster = InCluster {
        kubeconfig: std::env::var_os("CODEX_K8S_TEST_KUBECONFIG").map(PathBuf::from).unwrap_or_default(),
        node_address: world.node_address,
        runner_image: world.runner_image.clone(),
        block: None,
    };
    Platform::start(Options {
        program: PathBuf::from(env!("CARGO_BIN_EXE_dev")),
        slots: 2,
        hosting,
        tamper: None,
        webhooks: WebhookMode::Push,
        identity: Identity::Person,
        otlp_endpoint: None,
        budget: domain::services_yaml::BudgetConfig::default(),
        cluster: Some(cluster),
        egress_proxy: None,
        sleepers: None,
    })
    .await
}

async fn job_of(platform: &Platform, run: &Run) -> anyhow::Result<(String, JobRef)> {
    let job = JobRef { project: platform.project().await?, run: run.id, attempt: run.attempt };
    let prefix = format!("codexk8s-run-{}-", platform.instance);
    Ok((kubernetes::namespace(&prefix, &job.project), job))
}

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
    let platform = start(Hosting::InProcess).await?;
    let number = platform.open_issue("good-fix")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::PullRequestOpen), "{run:?}");
    let (namespace, job) = job_of(&platform, &run).await?;
    let jobs: Api<Job> = Api::namespaced(World::new().await.client, &namespace);
    platform
        .await_that("its Job is gone", async || Ok(jobs.get_opt(&job.name()).await?.is_none().then_some(())))
        .await?;
    let told = job_events::list(&mut *platform.store().acquire().await?, run.id, run.attempt).await?;
    assert!(told.iter().any(|event| event.reason == "Scheduled"), "{told:?}");
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_that_fail_are_told() -> anyhow::Result<()> {
    let platform = start(Hosting::InProcess).await?;
    let number = platform.open_issue("broken-tests")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::ChecksFailed), "{run:?}");
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_cancel_nothing_lives_for_15_seconds_more() -> anyhow::Result<()> {
    let platform = start(Hosting::InProcess).await?;
    let number = platform.open_issue("endless-loop")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    let (namespace, _) = job_of(&platform, &run).await?;
    let pods: Api<Pod> = Api::namespaced(World::new().await.client, &namespace);
    platform
        .await_that("the pod runs", async || {
            let all = pods.list(&ListParams::default()).await?;
            let runs = |pod: &Pod| pod.status.as_ref().is_some_and(|of| of.phase.as_deref() == Some("Running"));
            Ok(all.items.iter().any(runs).then_some(()))
        })
        .await?;
    platform.forge.comment("maintainer", REPOSITORY, number, "/cancel")?;
    let begun = Instant::now();
    platform
        .await_that("the pod is gone", async || {
            Ok(pods.list(&ListParams::default()).await?.items.is_empty().then_some(()))
        })
        .await?;
    assert!(begun.elapsed() <= Duration::from_secs(15), "it took {:?}", begun.elapsed());
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::Cancelled), "{run:?}");
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cluster_does_to_a_job_has_a_class_and_a_next_step() -> anyhow::Result<()> {
    let platform = start(Hosting::InProcess).await?;
    // Shared memory can't be taken back, and belongs to no process: the biggest one goes, and that is the runner. With programs that
    // do not fit, the kernel would read them again and again for as long as the Job may take.
    let too_much = "{name: fill, run: 'head -c 60m /dev/zero > /dev/shm/fill'}";
    settings(&platform, &format!("version: 1\nruntime: {{memory: 64Mi}}\nsetup: [{too_much}]\n")).await?;
    // The node misses a reason now and then.
    lost(&platform, "good-fix", &[FailureClass::OutOfMemory, FailureClass::PossiblyOutOfMemory]).await?;
    settings(&platform, "version: 1\nruntime: {image: '127.0.0.1:9/nothing:1'}\n").await?;
    let run = lost(&platform, "good-fix", &[FailureClass::Image]).await?;
    assert!(run.cause.as_deref().is_some_and(|cause| cause.contains("127.0.0.1:9/nothing:1")), "{:?}", run.cause);
    platform.finish().await
}

/// Somebody drains the node: the agent goes on in a new attempt, from its last kept work, without being asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_put_out_is_followed_by_another_attempt() -> anyhow::Result<()> {
    let platform = start(Hosting::InProcess).await?;
    settings(&platform, "version: 1\n").await?;
    let number = platform.open_issue("two-halves")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    platform
        .await_that("the first half is kept", async || {
            Ok(store::checkpoints::newest(&mut *platform.store().acquire().await?, run.id).await?)
        })
        .await?;
    let (namespace, _) = job_of(&platform, &run).await?;
    let pods: Api<Pod> = Api::namespaced(World::new().await.client, &namespace);
    for pod in pods.list(&ListParams::default()).await?.items {
        let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        let params = kube::api::EvictParams { delete_options: Some(at_once), ..Default::default() };
        pods.evict(&pod.metadata.name.unwrap_or_default(), &params).await?;
    }
    let run = platform.await_run(number, "gone on", |run| run.attempt == Attempt(2) && run.outcome.is_some()).await?;
    assert_eq!(run.outcome, Some(Outcome::PullRequestOpen), "{run:?}");
    let mut conn = platform.store().acquire().await?;
    let failure = job_failures::get(&mut conn, run.id, Attempt::FIRST).await?;
    assert_eq!(failure.map(|failure| failure.class), Some(FailureClass::Evicted));
    drop(conn);
    platform
        .await_that("the comment says that it went on, and why", async || {
            let comments = platform.forge.comments(REPOSITORY, number)?;
            let of_run = comments.iter().find(|comment| comment.body.contains(&comment_marker(run.id)));
            let words = [
                "Attempt 1 was lost, and the run went on by itself. The Job's pod was evicted: ",
                "goes on from the work",
            ];
            Ok(of_run.filter(|comment| words.iter().all(|words| comment.body.contains(words))).map(drop))
        })
        .await?;
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_survives_the_death_of_the_worker_at_each_step() -> anyhow::Result<()> {
    let mut platform = start(Hosting::Processes).await?;
    let steps = [Step::Clone, Step::Launch, Step::Agent, Step::Collect, Step::Publish];
    for step in steps {
        let number = platform.open_issue("good-fix")?;
        platform.label(number, "run:dev")?;
        platform.await_run(number, step.as_str(), |run| run.step >= Some(step) || run.outcome.is_some()).await?;
        platform.kill(Victim::Worker).await?;
        let run = platform.await_end(number).await?;
        assert_eq!((run.outcome, run.attempt), (Some(Outcome::PullRequestOpen), Attempt::FIRST), "{step}: {run:?}");
    }
    platform.finish().await
}
