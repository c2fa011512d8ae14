//! Schedules of the project's settings. Their moments are triggered here, on the real engine.

use chrono::{DateTime, Utc};
use devkit::harness::{Platform, REPOSITORY};
use domain::{
    forge_text::schedule_marker,
    run::{Outcome, Step},
    triggers::{DeliverySource, Trigger, VerdictKind},
};
use store::{
    deliveries::{self, Delivery},
    project_schedules,
    runs::{self, Page, RunFilter},
};

const NAME: &str = "nightly";

/// Lines that our own check takes: the engine must, too.
const LINES: [&str; 5] =
    ["10/20 3 1 jan *", "0,30 0 1,15 1 *", "5 4 29 feb *", "*/15 8-18 * jan mon-fri", "0 12 * 1-3/2 SUN"];

/// A platform with a schedule that comes once a year of itself.
async fn scheduled(scenario: &str) -> anyhow::Result<Platform> {
    let platform = super::platform_with(1).await?;
    let more: String = LINES
        .iter()
        .enumerate()
        .map(|(n, line)| format!("  - {{name: more-{n}, cron: '{line}', agent: dev, title: More}}\n"))
        .collect();
    let yaml = format!(
        "version: 1\nschedules:\n  - name: {NAME}\n    cron: 0 3 1 jan *\n    zone: Europe/Berlin\n    agent: dev\n    \
         title: Look after the greeter [scenario:{scenario}]\n    instructions: See the failing test.\n{more}"
    );
    platform.forge.commit("writer", REPOSITORY, "main", &[("services.yaml", Some(&yaml))]).await?;
    platform
        .await_that("the engine is told of the schedules", async || {
            let told = told(&platform).await?;
            let all = told.len() == LINES.len() + 1 && told.iter().all(|told| told.definition.is_some());
            Ok(all.then_some(()))
        })
        .await?;
    Ok(platform)
}

async fn told(platform: &Platform) -> anyhow::Result<Vec<project_schedules::Told>> {
    Ok(project_schedules::list(&mut *platform.store().acquire().await?, platform.repository.id).await?)
}

fn moment(text: &str) -> anyhow::Result<DateTime<Utc>> {
    Ok(text.parse()?)
}

/// Rows of the ledger that schedules made, oldest first.
async fn moments(platform: &Platform) -> anyhow::Result<Vec<Delivery>> {
    let mut rows = deliveries::list_recent(&mut *platform.store().acquire().await?, 1_000).await?;
    rows.retain(|row| row.source == DeliverySource::Schedule);
    rows.reverse();
    Ok(rows)
}

async fn await_moments(platform: &Platform, count: usize) -> anyhow::Result<Vec<Delivery>> {
    platform
        .await_that(&format!("{count} moments are in the ledger"), async || {
            let rows = moments(platform).await?;
            Ok((rows.len() >= count).then_some(rows))
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_starts_a_run_on_its_own_issue_once_a_moment() -> anyhow::Result<()> {
    let platform = scheduled("good-fix").await?;
    let (first, second) = (moment("2026-11-03T02:00:00Z")?, moment("2026-11-04T02:00:00Z")?);
    platform.trigger(NAME, first).await?;
    let rows = await_moments(&platform, 1).await?;
    assert_eq!(rows[0].verdict, VerdictKind::Started, "{}", rows[0].reason);
    assert!(rows[0].reason.starts_with("schedule `nightly` of the settings starts agent `dev`"), "{}", rows[0].reason);
    let number = u64::try_from(rows[0].subject_number.unwrap_or_default())?;
    let issue = platform.forge.issue(REPOSITORY, number)?;
    let marker = schedule_marker(platform.repository.id, NAME);
    assert!(issue.body.unwrap_or_default().contains(&marker));
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::PullRequestOpen), "{run:?}");
    assert_eq!(run.trigger, Trigger::Schedule { name: NAME.to_owned(), at: first });
    assert_eq!(run.instructions, "See the failing test.");

    // The same moment again, and a later one after it: the engine takes them in order.
    platform.trigger(NAME, first).await?;
    platform.trigger(NAME, second).await?;
    let rows = await_moments(&platform, 2).await?;
    let guids: Vec<&str> = rows.iter().map(|row| row.guid.rsplit("nightly-").next().unwrap_or_default()).collect();
    assert_eq!(guids, ["2026-11-03T02:00:00Z", "2026-11-04T02:00:00Z"], "one row a moment");
    assert_eq!(rows[1].subject_number, rows[0].subject_number, "the open issue is used again");
    let next = platform
        .await_run(number, "the run of the second moment", |next| next.id != run.id && next.outcome.is_some())
        .await?;
    assert_eq!(next.trigger.at(), second);
    let project = platform.repository.project;
    let filter = RunFilter { project: Some(project), ..RunFilter::default() };
    let page = Page { before: None, limit: 100 };
    let all = runs::list(&mut *platform.store().acquire().await?, filter, page).await?;
    assert_eq!(all.len(), 2);
    let counted = [("source", "schedule"), ("verdict", "started")];
    assert_eq!(platform.scrape().await?["worker"].sum("codexk8s_deliveries_total", &counted), 2.0);
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_that_meets_a_run_at_work_is_skipped_and_a_schedule_can_be_taken_away() -> anyhow::Result<()> {
    let platform = scheduled("endless-loop").await?;
    platform.trigger(NAME, moment("2026-11-03T02:00:00Z")?).await?;
    let number = u64::try_from(await_moments(&platform, 1).await?[0].subject_number.unwrap_or_default())?;
    platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    platform.trigger(NAME, moment("2026-11-04T02:00:00Z")?).await?;
    let rows = await_moments(&platform, 2).await?;
    assert_eq!(rows[1].verdict, VerdictKind::AlreadyWorking, "{}", rows[1].reason);
    assert_eq!(rows[1].run, rows[0].run);

    platform.forge.close_issue("maintainer", REPOSITORY, number)?;
    assert_eq!(platform.await_end(number).await?.outcome, Some(Outcome::Cancelled));
    platform.forge.commit("writer", REPOSITORY, "main", &[("services.yaml", Some("version: 1\n"))]).await?;
    platform
        .await_that("the engine has the schedule no longer", async || {
            Ok(told(&platform).await?.is_empty().then_some(()))
        })
        .await?;
    assert!(platform.trigger(NAME, moment("2026-11-05T02:00:00Z")?).await.is_err());
    platform.finish().await
}
