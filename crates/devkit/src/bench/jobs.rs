//! Jobs: from a webhook to a container that has started, beside a bare Job of the same shape that is made through the API; and what a
//! thousand Jobs take on an API server in memory.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use domain::{
    ids::{Attempt, EngineNamespace, ProjectSlug, RunId},
    job::JobRuntime,
    run::Outcome,
    services_yaml::{PlatformBudgets, Quantity},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jobs::{
    JobLauncher as _, JobOrder, JobRef,
    kubernetes::{
        self, Defaults, KubernetesLauncher, KubernetesSettings, Network, OwnRights, Patience, Quota, UserNamespaces,
    },
    scripted::Server,
};
use k8s_openapi::api::{batch::v1::Job, core::v1::Secret};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use role::SecretText;
use serde_json::json;
use store::benching;
use tokio::time::Instant;

use super::{
    report::{Report, Target, ms, quantile},
    started::{Bare, Started, Took},
};
use crate::{
    harness::{Hosting, Identity, InCluster, Options, Platform, REPOSITORY},
    kube as cluster,
};

/// Jobs on the API server in memory, and how many of them are written at a time.
const SCRIPTED: u32 = 1_000;
const AT_A_TIME: usize = 50;

/// Jobs one after another, and at once.
const ALONE: usize = 12;
const AT_ONCE: [usize; 2] = [30, 100];

/// So little that a node of two cores has room for the most at once: a quarter of the processor is set aside for each.
const LITTLE: &str = "version: 1\nruntime: {cpu: 76m, memory: 64Mi, ephemeral_storage: 64Mi}\n";

pub(super) async fn run(report: &mut Report) -> anyhow::Result<()> {
    scripted(report).await?;
    if std::env::var_os(cluster::KUBECONFIG).is_none() {
        report.note("jobs: there is no cluster, so nothing was started in one");
        return Ok(());
    }
    in_cluster(report).await
}

fn settings() -> anyhow::Result<KubernetesSettings> {
    let amount = |text: &str| text.parse::<Quantity>().map_err(anyhow::Error::msg);
    Ok(KubernetesSettings {
        instance: "bench".parse()?,
        runner_image: "runner:1".to_owned(),
        namespace_prefix: "run-".to_owned(),
        rights: Some(OwnRights {
            namespace: "system".to_owned(),
            account: "worker".to_owned(),
            role: "inside".to_owned(),
        }),
        network: Network::default(),
        egress_proxy: None,
        canary: "canary:1".to_owned(),
        user_namespaces: UserNamespaces::Off,
        defaults: Defaults { cpu: amount("1")?, memory: amount("1Gi")?, ephemeral_storage: amount("1Gi")? },
        quota: Quota {
            pods: SCRIPTED,
            cpu: amount("1000")?,
            memory: amount("1000Gi")?,
            ephemeral_storage: amount("1000Gi")?,
        },
        patience: Patience::default(),
        clock: Arc::new(chrono::Utc::now),
    })
}

fn orders() -> anyhow::Result<Vec<JobOrder>> {
    let order = |number| {
        Ok(JobOrder {
            job: JobRef {
                project: ProjectSlug::new("p"),
                run: RunId::from_uuid(uuid::Uuid::from_u128(number)),
                attempt: Attempt::FIRST,
            },
            token: SecretText::new("token"),
            gateway_url: "http://gateway:8082".parse()?,
            model_url: "http://models:8081".parse()?,
            deadline: Duration::from_secs(600),
            runtime: JobRuntime::default(),
        })
    };
    (1..=u128::from(SCRIPTED)).map(order).collect()
}

/// Launched and waited for, beside the bare writes of the same Jobs and Secrets by the same client.
async fn scripted(report: &mut Report) -> anyhow::Result<()> {
    let (settings, orders) = (settings()?, orders()?);
    let bare = {
        let client = Server::default().client();
        let begun = Instant::now();
        let written = stream::iter(&orders).map(|order| write(&client, order, &settings));
        written.buffer_unordered(AT_A_TIME).try_collect::<Vec<()>>().await?;
        begun.elapsed()
    };
    let server = Server::default();
    let launcher = Arc::new(KubernetesLauncher::new(server.client(), settings));
    let begun = Instant::now();
    let launched = stream::iter(&orders).map(|order| launcher.launch(order));
    launched.buffer_unordered(AT_A_TIME).try_collect::<Vec<()>>().await?;
    let launching = begun.elapsed();
    let mut waiting = tokio::task::JoinSet::new();
    for order in &orders {
        server.pod(&order.job, &order.job.name(), &json!({ "phase": "Running" }));
        let (launcher, job) = (Arc::clone(&launcher), order.job.clone());
        waiting.spawn(async move { launcher.ended(&job).await });
    }
    // Everybody is to wait before anything ends.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let watches = server.open_watches();
    let begun = Instant::now();
    for order in &orders {
        server.pod(&order.job, &order.job.name(), &json!({ "phase": "Succeeded" }));
    }
    while let Some(ended) = waiting.join_next().await {
        ended??;
    }
    let rate = |took: Duration| f64::from(SCRIPTED) / took.as_secs_f64();
    let name = |what: &str| format!("jobs, 1,000 on an API server in memory: {what}");
    report.ratio(name("launched"), rate(launching), rate(bare), "1/s", Target::None);
    report.value(name("from the first end to the last that was noticed"), ms(begun.elapsed()), "ms", Target::None);
    #[expect(clippy::cast_precision_loss, reason = "a few")]
    let watches = watches as f64;
    report.value(name("open watches"), watches, "", Target::AtMost(2.0));
    Ok(())
}

async fn write(client: &Client, order: &JobOrder, settings: &KubernetesSettings) -> kube::Result<()> {
    let job = kubernetes::job_object(order, settings, false);
    let (name, namespace) = (order.job.name(), job.metadata.namespace.clone().unwrap_or_default());
    let params = PatchParams::apply("bench").force();
    let jobs: Api<Job> = Api::namespaced(client.clone(), &namespace);
    let made = jobs.patch(&name, &params, &Patch::Apply(&job)).await?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    secrets.patch(&name, &params, &Patch::Apply(kubernetes::secret_object(order, settings, &made))).await?;
    Ok(())
}

/// On both sides agents are at work until all have started, as they are for minutes in life; what is measured is how they come to start.
/// Until then roles write to the forge at the pace that GitHub asks for, as in life: no start waits for it. Ends would.
async fn in_cluster(report: &mut Report) -> anyhow::Result<()> {
    let kubeconfig: PathBuf = super::from_environment(cluster::KUBECONFIG)?.into();
    let (client, _) = kubernetes::client_of(&kubeconfig).await?;
    let platform = start(kubeconfig).await?;
    platform.forge.commit("writer", REPOSITORY, "main", &[("services.yaml", Some(LITTLE))]).await?;
    let namespace = kubernetes::namespace(&format!("codexk8s-run-{}-", platform.instance), &platform.project().await?);
    let started = Started::watch(&client, &namespace);
    // The first one pays for what is made once: the namespace, the mirror, connections.
    let (bare, first) = tokio::join!(Bare::like_the_next(&client, &namespace), from_webhook(&platform, &started));
    let bare = first.and(bare)?;
    bare.start(&started, 1).await?;
    let (mut ours, mut bares) = (Vec::new(), Vec::new());
    for _ in 0..ALONE {
        bares.push(bare.start(&started, 1).await?.started);
        ours.push(from_webhook(&platform, &started).await?);
    }
    ours.sort_unstable();
    bares.sort_unstable();
    for (which, share, target) in [("median", 0.5, Target::AtMost(1.3)), ("slowest", 1.0, Target::None)] {
        let name = format!("jobs, {ALONE} one after another: from webhook to container started, {which}");
        report.ratio(name, ms(quantile(&ours, share)), ms(quantile(&bares, share)), "ms", target);
    }
    for number in AT_ONCE {
        // The machine and the cluster are not the same at every time: ours are between bare ones.
        let before = bare.start(&started, number).await?;
        let our_took = all_at_once(&platform, &started, number).await?;
        let after = bare.start(&started, number).await?;
        let mean = |of: fn(Took) -> Duration| ms(of(before)).midpoint(ms(of(after)));
        let (made, begun) = (mean(|took| took.made), mean(|took| took.started));
        let name = |what: &str| format!("jobs, {number} at once: from the first webhook to the last {what}");
        report.ratio(name("pod made"), ms(our_took.made), made, "ms", Target::None);
        report.ratio(name("container started"), ms(our_took.started), begun, "ms", Target::AtMost(1.2));
        let (before, after) = (ms(before.started), ms(after.started));
        report
            .note(format!("jobs, {number} at once: the bare ones took {before:.0} ms before and {after:.0} ms after"));
    }
    report.note("jobs: the baseline is a Job with the same pod, made through the API, its Secret before it; of many the mean of before and after");
    benching::lift_write_limits(platform.store()).await?;
    platform.finish().await
}

async fn start(kubeconfig: PathBuf) -> anyhow::Result<Platform> {
    let cluster = InCluster {
        kubeconfig,
        namespace_prefix: None,
        rights: None,
        node_address: super::from_environment(cluster::NODE_ADDRESS)?.parse()?,
        runner_image: super::from_environment("CODEX_K8S_TEST_ACTOR_IMAGE")?,
        block: None,
    };
    let program = std::env::current_exe()?;
    Platform::start(Options {
        binary: Some(program.with_file_name("codex-k8s")),
        program,
        slots: u32::try_from(AT_ONCE.into_iter().max().unwrap_or_default())?,
        hosting: Hosting::Processes,
        tamper: None,
        identity: Identity::Person,
        webhooks: domain::hook_log::WebhookMode::Push,
        namespace: EngineNamespace::default(),
        otlp_endpoint: None,
        cluster: Some(cluster),
        egress_proxy: None,
        budgets: PlatformBudgets::default(),
    })
    .await
}

/// Puts the label on, waits until the run's container has started, and ends the run. Gives how long the start took.
async fn from_webhook(platform: &Platform, started: &Started) -> anyhow::Result<Duration> {
    let number = platform.open_issue("no-change")?;
    let begun = Instant::now();
    platform.label(number, "run:dev")?;
    let name = job_of(platform, number).await?;
    let at = started.all(&[name]).await?;
    end(platform, started, &[number]).await?;
    Ok(at.since(begun).started)
}

/// Ends the runs, none of which has ended by itself, and waits until nothing of them is left.
async fn end(platform: &Platform, started: &Started, numbers: &[u64]) -> anyhow::Result<()> {
    benching::lift_write_limits(platform.store()).await?;
    for number in numbers {
        platform.forge.comment("maintainer", REPOSITORY, *number, "/cancel")?;
    }
    for number in numbers {
        let run = platform.await_end(*number).await?;
        ensure!((run.attempt, run.outcome) == (Attempt::FIRST, Some(Outcome::Cancelled)), "{run:?}");
    }
    started.rest().await?;
    benching::put_write_limits_back(platform.store()).await?;
    Ok(())
}

async fn all_at_once(platform: &Platform, started: &Started, number: usize) -> anyhow::Result<Took> {
    let numbers = (0..number).map(|_| platform.open_issue("no-change")).collect::<anyhow::Result<Vec<u64>>>()?;
    let begun = Instant::now();
    for number in &numbers {
        platform.label(*number, "run:dev")?;
    }
    let mut names = Vec::new();
    for number in &numbers {
        names.push(job_of(platform, *number).await?);
    }
    let last = started.all(&names).await?;
    end(platform, started, &numbers).await?;
    Ok(last.since(begun))
}

async fn job_of(platform: &Platform, number: u64) -> anyhow::Result<String> {
    let run = platform.await_run(number, "there", |_| true).await?;
    let project = platform.project().await.context("the project's name")?;
    Ok(JobRef { project, run: run.id, attempt: run.attempt }.name())
}
