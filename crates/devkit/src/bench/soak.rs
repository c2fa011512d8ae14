//! A worker that has much behind it and much to do, over a while: its memory must not grow.
//!
//! Thousands of finished runs and a thousand projects are in the database; 200 runs are live at any moment: each ends after some
//! minutes, and another takes its place.

use std::time::Duration;

use anyhow::{Context, ensure};
use store::{Store, benching};
use tokio::time::{Instant, sleep};

use super::{
    Memory,
    node::Node,
    report::{Report, Target},
    run,
};
use crate::harness::{Platform, Victim, until};

/// Tells the optimised program how long to go on.
pub(super) const MINUTES: &str = "CODEX_K8S_SOAK_MINUTES";

const FINISHED: u32 = 10_000;
const PROJECTS: u32 = 1_000;
const LIVE: u32 = 200;

/// How long an agent is at work, in the mean.
const LIFE: Duration = Duration::from_secs(180);

/// How often memory is read, and ended runs are replaced.
const LOOK: Duration = Duration::from_secs(5);

/// Until all are under way, and until all have ended.
const PATIENCE: Duration = Duration::from_secs(8 * 60);

/// One look.
struct Sample {
    hours: f64,
    worker: Memory,
    gateway: Memory,
}

pub(super) async fn run(report: &mut Report) -> anyhow::Result<()> {
    let minutes: u32 = super::from_environment(MINUTES)?.parse()?;
    report.note(format!(
        "soak: {minutes} minutes with {FINISHED} finished runs, {PROJECTS} projects and {LIVE} live runs, of {} s each in the mean; the limits \
         on writing to GitHub are lifted; gateway and worker are the production binary, on a cluster in memory whose agents sleep",
        LIFE.as_secs()
    ));
    let mut node = Node::start().await?;
    let platform = run::with_sleepers(LIVE, &mut node, Some(LIFE)).await?;
    benching::fill_with_past(platform.store(), FINISHED, PROJECTS).await?;
    let mut population = Population::none(platform.store()).await?;
    let under_way = until(PATIENCE, async || {
        // Some have ended before the last ones have begun.
        Ok((population.replace_ended(&platform).await? >= i64::from(LIVE) * 9 / 10).then_some(()))
    });
    under_way.await?.context("the runs do not get under way")?;
    let samples = watch(&platform, Duration::from_secs(u64::from(minutes) * 60), &mut population).await?;
    tell(report, &samples)?;
    report.value("soak: runs started", f64::from(population.asked_for), "runs", Target::None);
    node.release();
    let settled = until(PATIENCE, async || Ok((benching::standing(platform.store()).await?.open == 0).then_some(())));
    settled.await?.context("not all runs end")?;
    platform.shut_down().await
}

/// The live runs, whose number is kept.
struct Population {
    /// Runs that had ended before.
    past: i64,
    /// Labels that were set: what they start is stored some moments later.
    asked_for: u32,
}

impl Population {
    async fn none(store: &Store) -> anyhow::Result<Self> {
        Ok(Self { past: benching::standing(store).await?.ended, asked_for: 0 })
    }

    /// Asks for a run in the place of each that has ended; says how many have an agent at work.
    async fn replace_ended(&mut self, platform: &Platform) -> anyhow::Result<i64> {
        let standing = benching::standing(platform.store()).await?;
        let ended = u32::try_from(standing.ended - self.past)?;
        for _ in self.asked_for.saturating_sub(ended)..LIVE {
            let number = platform.open_issue("no-change")?;
            platform.label(number, "run:dev")?;
            self.asked_for += 1;
        }
        Ok(standing.at_work)
    }
}

async fn watch(platform: &Platform, span: Duration, population: &mut Population) -> anyhow::Result<Vec<Sample>> {
    let began = Instant::now();
    let mut samples = Vec::new();
    while began.elapsed() < span {
        population.replace_ended(platform).await?;
        let read = |role| platform.pid(role).and_then(super::memory).with_context(|| format!("{role:?} has ended"));
        let hours = began.elapsed().as_secs_f64() / 3_600.0;
        samples.push(Sample { hours, worker: read(Victim::Worker)?, gateway: read(Victim::Gateway)? });
        sleep(LOOK).await;
    }
    Ok(samples)
}

fn tell(report: &mut Report, samples: &[Sample]) -> anyhow::Result<()> {
    ensure!(samples.len() > 2, "it was too short to say anything");
    let of =
        |role: fn(&Sample) -> Memory| samples.iter().map(|sample| (sample.hours, role(sample))).collect::<Vec<_>>();
    tell_of(report, "worker", &of(|sample| sample.worker));
    tell_of(report, "gateway", &of(|sample| sample.gateway));
    Ok(())
}

fn tell_of(report: &mut Report, role: &str, seen: &[(f64, Memory)]) {
    let (Some((_, start)), Some((_, end))) = (seen.first(), seen.last()) else { return };
    let most = seen.iter().map(|(_, memory)| memory.resident).fold(0.0, f64::max);
    report.value(format!("soak, {role}: memory at the start"), start.resident, "MB", Target::None);
    report.value(format!("soak, {role}: memory at the end"), end.resident, "MB", Target::None);
    report.value(format!("soak, {role}: most memory"), most, "MB", Target::AtMost(100.0));
    report.value(format!("soak, {role}: its own at the start"), start.own, "MB", Target::None);
    report.value(format!("soak, {role}: its own at the end"), end.own, "MB", Target::None);
    // The first half is for caches to fill.
    let later: Vec<(f64, f64)> = seen[seen.len() / 2..].iter().map(|(hours, memory)| (*hours, memory.own)).collect();
    let name = format!("soak, {role}: growth of its own in the second half");
    report.value(name, slope(&later), "MB/h", Target::None);
}

/// The slope of the line that fits best.
fn slope(points: &[(f64, f64)]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a few hundred looks")]
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let together: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    if spread > 0.0 { together / spread } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::slope;

    #[test]
    fn growth_is_the_slope_of_what_was_seen() {
        assert!((slope(&[(0.0, 50.0), (0.5, 51.0), (1.0, 52.0)]) - 2.0).abs() < 1e-9);
        assert!(slope(&[(0.0, 50.0), (0.1, 49.0), (0.2, 50.0)]).abs() < 1e-9);
        assert!(slope(&[(1.0, 50.0)]).abs() < 1e-9);
    }
}
