//! Whole runs: how long the platform itself takes, and many at once on one worker.

use std::time::Duration;

use anyhow::{Context, ensure};
use domain::{hook_log::WebhookMode, ids::EngineNamespace, services_yaml::PlatformBudgets};
use jobs::kubernetes::{self, NAMESPACE_PREFIX};
use store::{
    Store,
    benching::{self, Timing},
};

use super::{
    node::Node,
    report::{Report, Target, ms, quantile},
};
use crate::harness::{Hosting, Identity, Options, Platform, Victim, until};

/// Runs one after another.
const ALONE: usize = 12;

/// Runs at once.
const AT_ONCE: usize = 200;

/// Until all of them sleep, and until all of them are settled.
const LIMIT: Duration = Duration::from_secs(8 * 60);

pub(super) async fn run(report: &mut Report) -> anyhow::Result<()> {
    report.note(
        "run: the limits on writing to GitHub are lifted; GitHub is the stand-in, the model is scripted, Codex is real",
    );
    alone(report).await?;
    at_once(report).await
}

/// A platform, its limits on writing lifted. With sleepers it is the binary of production, and they are its cluster: they live for `life`
/// in the mean, or until they are released.
pub(super) async fn with_sleepers(slots: u32, node: &mut Node, life: Option<Duration>) -> anyhow::Result<Platform> {
    let platform = start(slots, Some(node)).await?;
    let prefix = format!("{NAMESPACE_PREFIX}{}-", platform.instance);
    let namespace = kubernetes::namespace(&prefix, &platform.project().await?);
    node.work(&namespace, &platform.gateway_url, life)?;
    Ok(platform)
}

async fn start(slots: u32, node: Option<&Node>) -> anyhow::Result<Platform> {
    let program = std::env::current_exe()?;
    let platform = Platform::start(Options {
        binary: node.map(|_| program.with_file_name("codex-k8s")),
        program,
        slots,
        hosting: if node.is_some() { Hosting::Processes } else { Hosting::InProcess },
        tamper: None,
        identity: Identity::Person,
        webhooks: WebhookMode::Push,
        namespace: EngineNamespace::default(),
        otlp_endpoint: None,
        cluster: node.map(Node::cluster),
        egress_proxy: None,
        budgets: PlatformBudgets::default(),
    })
    .await?;
    benching::lift_write_limits(platform.store()).await?;
    Ok(platform)
}

async fn alone(report: &mut Report) -> anyhow::Result<()> {
    let platform = start(1, None).await?;
    // The first one pays for what is made once: the mirror, connections.
    for _ in 0..=ALONE {
        let number = platform.open_issue("good-fix")?;
        platform.label(number, "run:dev")?;
        platform.await_end(number).await?;
    }
    let timings = benching::timings(platform.store()).await?;
    let measured = timings.get(1..).unwrap_or_default();
    ensure!(measured.iter().all(|run| run.outcome.as_deref() == Some("pull_request_open")), "{measured:?}");
    let to_agent = sorted(measured, |run| (run.agent_started? - run.requested).to_std().ok());
    let rest = sorted(measured, |run| (run.finished? - run.requested).to_std().ok()?.checked_sub(run.job));
    ensure!(to_agent.len() == ALONE && rest.len() == ALONE, "a run has no times: {measured:?}");
    let median = |durations: &[Duration]| ms(quantile(durations, 0.5));
    report.value("run, alone: from webhook to agent started, median", median(&to_agent), "ms", Target::AtMost(500.0));
    report.value("run, alone: all but the Job's own time, median", median(&rest), "ms", Target::AtMost(1500.0));
    report.value("run, alone: all but the Job's own time, slowest", ms(quantile(&rest, 1.0)), "ms", Target::None);
    platform.finish().await
}

async fn at_once(report: &mut Report) -> anyhow::Result<()> {
    let mut node = Node::start().await?;
    let platform = with_sleepers(u32::try_from(AT_ONCE)?, &mut node, None).await?;
    for _ in 0..AT_ONCE {
        let number = platform.open_issue("no-change")?;
        platform.label(number, "run:dev")?;
    }
    let asleep = |timings: &[Timing]| timings.iter().filter(|run| run.agent_started.is_some()).count();
    let timings = await_all(platform.store(), "sleep", asleep).await?;
    ensure!(timings.iter().all(|run| run.finished.is_none()), "a run ended before its Job");
    let to_agent = sorted(&timings, |run| (run.agent_started? - run.requested).to_std().ok());
    for victim in [Victim::Gateway, Victim::Worker] {
        let memory = platform.pid(victim).and_then(super::memory).context("its memory is not known")?;
        let name = format!("run, {AT_ONCE} at once: memory of the {victim:?}");
        report.value(&name, memory.resident, "MB", Target::AtMost(60.0));
        report.value(format!("{name}, its own"), memory.own, "MB", Target::None);
    }
    let released = chrono::Utc::now();
    node.release();
    let settled = |timings: &[Timing]| timings.iter().filter(|run| run.finished.is_some()).count();
    let timings = await_all(platform.store(), "settle", settled).await?;
    let good = timings.iter().filter(|run| run.outcome.as_deref() == Some("no_change")).count();
    let to_end = sorted(&timings, |run| (run.finished? - released).to_std().ok());
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let lost = (AT_ONCE - good) as f64;
    report.value(format!("run, {AT_ONCE} at once: that did not end as they should"), lost, "runs", Target::AtMost(0.0));
    for (what, durations) in [("from webhook to agent started", &to_agent), ("from the Jobs' end to settled", &to_end)]
    {
        let name = |which: &str| format!("run, {AT_ONCE} at once: {what}, {which}");
        report.value(name("median"), quantile(durations, 0.5).as_secs_f64(), "s", Target::None);
        report.value(name("slowest"), quantile(durations, 1.0).as_secs_f64(), "s", Target::None);
    }
    platform.finish().await
}

async fn await_all(store: &Store, what: &str, count: impl Fn(&[Timing]) -> usize) -> anyhow::Result<Vec<Timing>> {
    let seen = std::cell::Cell::new(0);
    let all = until(LIMIT, async || {
        let timings = benching::timings(store).await?;
        seen.set(count(&timings));
        Ok((seen.get() == AT_ONCE).then_some(timings))
    });
    all.await?.with_context(|| format!("of {AT_ONCE} runs only {} {what}", seen.get()))
}

fn sorted(timings: &[Timing], of: impl Fn(&Timing) -> Option<Duration>) -> Vec<Duration> {
    let mut durations: Vec<Duration> = timings.iter().filter_map(of).collect();
    durations.sort_unstable();
    durations
}
