//! Reconcilers and the schedules that start them, on the real engine.

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use devkit::harness::Platform;
use dispatch::{Schedule, When};
use domain::{
    event::{Sender, Subject, SubjectKind},
    ids::{Attempt, DeliveryId, RunId},
    job::{LogChunk, LogStream},
    reconciler::Reconciler,
    run::{Outcome, RunState, Step},
    triggers::{BusinessKey, DeliverySource, Trigger, VerdictKind},
};
use serde_json::json;
use store::{
    attempts,
    blobs::BlobKey,
    checkpoints::{self, Checkpoint},
    deliveries::{self, Inserted, NewDelivery},
    logs, reconcilers,
    runs::{self, End, NewRun, NewRunResult},
    steps::{self, Entry, StepKey},
};

#[tokio::test(flavor = "multi_thread")]
async fn every_reconciler_looks_when_its_schedule_says_so() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    for name in Reconciler::ALL {
        let found = platform.reconcile(*name).await?;
        assert!(!found.is_empty(), "{name}");
    }
    let runs = reconcilers::list(&mut *platform.store().acquire().await?).await?;
    let seen: Vec<Reconciler> = runs.iter().map(|run| run.name).collect();
    assert!(Reconciler::ALL.iter().all(|name| seen.contains(name)), "{seen:?}");
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_changed_in_place_and_stays_paused() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let id = format!("{}:test:a", platform.instance);
    let input = json!({});
    let schedule = |hours: u64| Schedule {
        id: &id,
        when: When::Every(Duration::from_secs(hours * 3600)),
        workflow_type: "Nobody",
        input: &input,
        limit: Duration::from_secs(60),
        catch_up: Duration::from_secs(60),
    };
    platform.engine().put_schedule(&schedule(5)).await?;
    let client = platform.engine().client().await?;
    let handle = client.get_schedule_handle(&id);
    handle.pause(Some("an operator looks into it"), Default::default()).await?;
    platform.engine().put_schedule(&schedule(7)).await?;
    let there = handle.describe(Default::default()).await?;
    let spec = there.raw().schedule.clone().unwrap_or_default().spec.unwrap_or_default();
    let period = spec.interval[0].interval.map(|interval| interval.seconds);
    assert_eq!((period, there.paused(), there.note()), (Some(7 * 3600), true, Some("an operator looks into it")));
    platform.engine().delete_schedule(&id).await?;
    platform.finish().await
}

/// A delivery with a payload, received so many days ago.
async fn received(platform: &Platform, days: i64) -> anyhow::Result<DeliveryId> {
    let received_at = Utc::now() - TimeDelta::days(days);
    let mut conn = platform.store().acquire().await?;
    let new = NewDelivery {
        hook_key: 1,
        guid: &format!("{days} days ago"),
        event: "issues",
        action: None,
        repository: None,
        forge_repo_id: None,
        subject_number: None,
        sender_login: None,
        sender_id: None,
        verdict: VerdictKind::NoRule,
        reason: "none",
        received_at,
        source: DeliverySource::Webhook,
    };
    let Inserted::New(id) = deliveries::insert(&mut conn, new, Some(b"{}")).await? else {
        anyhow::bail!("it is there already")
    };
    Ok(id)
}

/// A run with output that ended so many days ago.
async fn ended(platform: &Platform, number: i64, days: i64) -> anyhow::Result<RunId> {
    let now: DateTime<Utc> = Utc::now() - TimeDelta::days(days);
    // Nobody sees it while it has no end yet.
    let mut conn = platform.store().begin().await?;
    let new = NewRun {
        repository_id: platform.repository.id,
        project_id: platform.repository.project,
        subject: Subject { kind: SubjectKind::Issue, number },
        subject_title: "Old",
        agent: &"dev".parse()?,
        trigger: &Trigger::Manual { at: now },
        business_key: &BusinessKey::by_hand(&number.to_string()),
        requested_by: &Sender { id: 1, login: "ada".to_owned(), is_bot: false },
        instructions: "",
        cause_chain: &[],
        machine_depth: 0,
        deadline_at: now,
        now,
    };
    let NewRunResult::Started(run) = runs::insert(&mut conn, &new).await? else { anyhow::bail!("it is there already") };
    let chunk = LogChunk { seq: 1, at: now, stream: LogStream::Runner, text: "x".to_owned() };
    logs::append(&mut conn, run, Attempt::FIRST, &[chunk]).await?;
    // Of a refusal nothing is shown on the forge, which has no such issue.
    let refused = StepKey { run, attempt: Attempt::FIRST, step: Step::Authorise };
    steps::enter(&mut conn, refused, Entry { state: RunState::Queued, heard_until: now, now }).await?;
    let (work, _) = checkpoints::new_blobs(run, Attempt::FIRST);
    platform.blobs()?.put(&work, Bytes::from_static(b"x")).await?;
    let kept = Checkpoint { attempt: Attempt::FIRST, seq: 1, at: now, work, thread: None, bytes: 1 };
    checkpoints::record(&mut conn, run, &kept).await?;
    let result = BlobKey::result(run, Attempt::FIRST);
    platform.blobs()?.put(&result, Bytes::from_static(b"x")).await?;
    attempts::set_result_blob(&mut conn, run, Attempt::FIRST, result.as_str()).await?;
    let end = End { attempt: Attempt::FIRST, outcome: Outcome::Refused, cause: "Old.", now };
    runs::finish(&mut conn, run, end).await?;
    conn.commit().await?;
    Ok(run)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_is_dropped_and_its_story_stays() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let (old, young) = (received(&platform, 40).await?, received(&platform, 20).await?);
    let (ended_long_ago, ended_lately) = (ended(&platform, 901, 100).await?, ended(&platform, 902, 80).await?);
    let recently = ended(&platform, 903, 20).await?;
    let mut conn = platform.store().acquire().await?;
    let kept = checkpoints::newest(&mut conn, ended_long_ago).await?.context("it was kept")?;
    drop(conn);
    let setup = BlobKey::setup_cache(platform.repository.id, "of today");
    platform.blobs()?.put(&setup, Bytes::from_static(b"x")).await?;
    let found = platform.reconcile(Reconciler::Retention).await?;
    let said = "1 stray payloads, deleted 1 logs, 2 kept states, 0 set-up caches, the half uploads of 0 attempts, the bundles of \
                2 runs and 0 blobs that nothing names";
    assert!(found.ends_with(said), "{found}");
    let mut conn = platform.store().acquire().await?;
    assert!(checkpoints::newest(&mut conn, ended_long_ago).await?.is_none());
    assert!(!platform.blobs()?.exists(&kept.work).await? && platform.blobs()?.exists(&setup).await?);
    let young_one = checkpoints::newest(&mut conn, recently).await?.context("it is young")?;
    assert!(platform.blobs()?.exists(&young_one.work).await?);
    for (run, is_kept) in [(ended_long_ago, false), (ended_lately, false), (recently, true)] {
        assert_eq!(platform.blobs()?.exists(&BlobKey::result(run, Attempt::FIRST)).await?, is_kept);
        let named = attempts::get(&mut conn, run, Attempt::FIRST).await?.result_blob;
        assert_eq!(named.is_some(), is_kept);
    }
    assert!(deliveries::payload(&mut conn, old).await?.is_none() && deliveries::get(&mut conn, old).await?.is_some());
    assert!(deliveries::payload(&mut conn, young).await?.is_some());
    assert!(logs::read(&mut conn, ended_long_ago, Attempt::FIRST, 0, 10).await?.is_empty());
    assert_eq!(logs::read(&mut conn, ended_lately, Attempt::FIRST, 0, 10).await?.len(), 1);
    assert_eq!(runs::get(&mut conn, ended_long_ago).await?.outcome, Some(Outcome::Refused));
    drop(conn);
    let again = platform.reconcile(Reconciler::Retention).await?;
    let said = "0 stray payloads, deleted 0 logs, 0 kept states, 0 set-up caches, the half uploads of 0 attempts, the bundles of \
                0 runs and 0 blobs that nothing names";
    assert!(again.ends_with(said), "{again}");
    platform.finish().await
}
