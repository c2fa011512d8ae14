//! What is old goes, what is young and what is history stays.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    ids::{Attempt, RunId},
    job::{LogChunk, LogStream},
    job_ending::{FailureClass, JobEnding},
    run::Outcome,
    triggers::{DeliverySource, VerdictKind},
};
use futures::TryStreamExt;
use store::{
    PgConnection, attempts, audit,
    blobs::{BlobKey, Blobs},
    checkpoints::{self, Checkpoint},
    deliveries::{self, Inserted, NewDelivery},
    job_events::{self, JobEvent},
    job_failures::{self, Evidence, JobFailure},
    logs,
    retention::{self, OfAttempt},
};

use crate::world::{World, at};

fn days_ago(days: i64) -> DateTime<Utc> {
    Utc::now() - TimeDelta::days(days)
}

/// A delivery with a payload, received then.
async fn received(world: &World, guid: &str, received_at: DateTime<Utc>) -> domain::ids::DeliveryId {
    let Inserted::New(id) = store(&mut *world.conn().await, guid, received_at).await else { panic!("{guid}") };
    id
}

async fn store(conn: &mut PgConnection, guid: &str, received_at: DateTime<Utc>) -> Inserted {
    let new = NewDelivery {
        hook_key: 1,
        guid,
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
    deliveries::insert(conn, new, Some(b"{}")).await.unwrap()
}

async fn drop_day(world: &World, cutoff: DateTime<Utc>) -> bool {
    let mut tx = world.begin().await;
    let dropped = retention::drop_payload_day(&mut tx, cutoff).await.unwrap();
    tx.commit().await.unwrap();
    dropped
}

#[tokio::test]
async fn old_days_of_payloads_are_dropped() {
    let world = World::new().await;
    let today = received(&world, "today", Utc::now()).await;
    let later = received(&world, "later", Utc::now() + TimeDelta::days(3)).await;
    let lost = received(&world, "lost", days_ago(40)).await;
    let cutoff = days_ago(30);
    assert!(!drop_day(&world, cutoff).await, "no day that has a partition is so old");

    // As it is a month and two days later: today and tomorrow are over, the day after is not.
    let cutoff = Utc::now() + TimeDelta::days(2);
    assert!(drop_day(&world, cutoff).await && drop_day(&world, cutoff).await && !drop_day(&world, cutoff).await);
    let mut conn = world.conn().await;
    assert!(deliveries::payload(&mut conn, today).await.unwrap().is_none());
    assert!(deliveries::payload(&mut conn, later).await.unwrap().is_some());
    assert_eq!(deliveries::list_recent(&mut conn, 10).await.unwrap().len(), 3, "the ledger stays");
    assert!(deliveries::payload(&mut conn, lost).await.unwrap().is_some());
}

#[tokio::test]
async fn old_payloads_without_a_day_of_their_own_are_deleted_in_batches() {
    let world = World::new().await;
    let mut old = Vec::new();
    for n in 0..5 {
        old.push(received(&world, &format!("old-{n}"), days_ago(40)).await);
    }
    let young = received(&world, "young", days_ago(10)).await;
    let mut conn = world.conn().await;
    let cutoff = days_ago(30);
    let mut batches = Vec::new();
    for _ in 0..3 {
        batches.push(retention::delete_stray_payloads(&mut conn, cutoff, 3).await.unwrap());
    }
    assert_eq!(batches, [3, 2, 0]);
    for id in old {
        assert!(deliveries::payload(&mut conn, id).await.unwrap().is_none());
    }
    assert!(deliveries::payload(&mut conn, young).await.unwrap().is_some());
}

#[tokio::test]
async fn webhooks_do_not_wait_for_a_day_to_be_dropped() {
    let world = World::new().await;
    received(&world, "first", Utc::now()).await;
    let mut writer = world.begin().await;
    store(&mut writer, "second", Utc::now()).await;
    let cutoff = Utc::now() + TimeDelta::days(2);
    let mut tx = world.begin().await;
    let refused = retention::drop_payload_day(&mut tx, cutoff).await;
    assert!(refused.is_err(), "somebody is storing a payload, so the day is left for another time");
    drop(tx);
    writer.commit().await.unwrap();
    assert!(drop_day(&world, cutoff).await);
}

#[tokio::test]
async fn logs_of_runs_that_ended_long_ago_are_deleted_and_their_runs_stay() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let chunk = |seq| LogChunk { seq, at: at(1), stream: LogStream::Runner, text: "x".to_owned() };
    let (old, open) = (world.run(1).await, world.run(2).await);
    for run in [old, open] {
        let chunks: Vec<LogChunk> = (1..=5).map(chunk).collect();
        logs::append(&mut conn, run, Attempt::FIRST, &chunks).await.unwrap();
    }
    // It ends at `at(100)`.
    world.finish(old, Outcome::Lost).await;
    assert_eq!(retention::old_logs(&mut conn, at(100), 10).await.unwrap(), []);
    let found = retention::old_logs(&mut conn, at(101), 10).await.unwrap();
    let of = OfAttempt { run: old, attempt: Attempt::FIRST };
    assert_eq!(found, [of]);
    let mut batches = Vec::new();
    for _ in 0..3 {
        batches.push(retention::delete_log_chunks(&mut conn, of, 3).await.unwrap());
    }
    assert_eq!(batches, [3, 2, 0]);
    let event = JobEvent {
        uid: "a".to_owned(),
        count: 1,
        at: at(1),
        warning: true,
        reason: "Evicted".to_owned(),
        message: "short of disk".to_owned(),
    };
    let failure = |run| {
        let ending = Some(JobEnding::Evicted { why: "short of disk".to_owned() });
        let evidence = Evidence { ending, last_output: Some("bye".to_owned()) };
        (run, JobFailure { class: FailureClass::Evicted, evidence })
    };
    for (run, failure) in [failure(old), failure(open)] {
        job_events::keep(&mut conn, run, Attempt::FIRST, &event).await.unwrap();
        job_failures::set(&mut conn, run, Attempt::FIRST, &failure).await.unwrap();
    }
    retention::delete_job_words(&mut conn, of).await.unwrap();
    for (run, events, last_output) in [(old, 0, None), (open, 1, Some("bye"))] {
        assert_eq!(job_events::list(&mut conn, run, Attempt::FIRST).await.unwrap().len(), events);
        let kept = job_failures::get(&mut conn, run, Attempt::FIRST).await.unwrap().unwrap();
        assert!(kept.class == FailureClass::Evicted && kept.evidence.ending.is_some(), "{kept:?}");
        assert_eq!(kept.evidence.last_output.as_deref(), last_output);
    }
    retention::logs_deleted(&mut conn, of, at(200)).await.unwrap();
    assert_eq!(retention::old_logs(&mut conn, at(101), 10).await.unwrap(), []);
    assert_eq!(logs::read(&mut conn, open, Attempt::FIRST, 0, 10).await.unwrap().len(), 5);
    assert!(store::runs::get(&mut conn, old).await.unwrap().outcome.is_some());
    assert!(audit::list_for_run(&mut conn, old).await.is_ok());
}

#[tokio::test]
async fn a_kept_state_is_forgotten_once_its_run_ended_long_ago() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let (old, open) = (world.run(1).await, world.run(2).await);
    for run in [old, open] {
        let (work, _) = checkpoints::new_blobs(run, Attempt::FIRST);
        let kept = Checkpoint { attempt: Attempt::FIRST, seq: 1, at: at(1), work, thread: None, bytes: 7 };
        checkpoints::record(&mut conn, run, &kept).await.unwrap();
    }
    // It ends at `at(100)`.
    world.finish(old, Outcome::Lost).await;
    let of = |run| OfAttempt { run, attempt: Attempt::FIRST };
    assert_eq!(retention::old_checkpoints(&mut conn, at(100), 10).await.unwrap(), []);
    assert_eq!(retention::old_checkpoints(&mut conn, at(101), 10).await.unwrap(), [of(old)]);
    for (run, cutoff) in [(old, at(100)), (open, at(101))] {
        assert!(!retention::forget_checkpoint(&mut conn, of(run), cutoff).await.unwrap());
        assert!(checkpoints::newest(&mut conn, run).await.unwrap().is_some());
    }
    assert!(retention::forget_checkpoint(&mut conn, of(old), at(101)).await.unwrap());
    assert!(!retention::forget_checkpoint(&mut conn, of(old), at(101)).await.unwrap(), "once");
    assert_eq!(checkpoints::newest(&mut conn, old).await.unwrap(), None);
    assert_eq!(retention::old_checkpoints(&mut conn, at(101), 10).await.unwrap(), []);
}

#[tokio::test]
async fn bundles_go_once_their_run_ended_long_ago() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let (old, open) = (world.run(1).await, world.run(2).await);
    let workspace = BlobKey::workspace(world.repository, "abc");
    for run in [old, open] {
        let result = BlobKey::result(run, Attempt::FIRST);
        attempts::set_workspace_blob(&mut conn, run, Attempt::FIRST, workspace.as_str()).await.unwrap();
        attempts::set_result_blob(&mut conn, run, Attempt::FIRST, result.as_str()).await.unwrap();
    }
    // It ends at `at(100)`.
    world.finish(old, Outcome::Lost).await;
    assert_eq!(retention::old_bundles(&mut conn, at(100), 10).await.unwrap(), []);
    assert_eq!(retention::old_bundles(&mut conn, at(101), 10).await.unwrap(), [old]);
    for (run, cutoff) in [(old, at(100)), (open, at(101))] {
        assert_eq!(retention::forget_bundles(&mut conn, run, cutoff).await.unwrap(), []);
    }
    let gone = retention::forget_bundles(&mut conn, old, at(101)).await.unwrap();
    assert_eq!(gone, [BlobKey::result(old, Attempt::FIRST)], "another run has the same workspace");
    assert_eq!(retention::old_bundles(&mut conn, at(101), 10).await.unwrap(), []);
    assert!(attempts::get(&mut conn, open, Attempt::FIRST).await.unwrap().result_blob.is_some());
}

#[tokio::test]
async fn old_blobs_that_no_row_names_are_found() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let (run, dir) = (world.run(1).await, tempfile::tempdir().unwrap());
    let blobs = Blobs::local(dir.path()).unwrap();
    let (kept, _) = checkpoints::new_blobs(run, Attempt::FIRST);
    let state = Checkpoint { attempt: Attempt::FIRST, seq: 1, at: at(1), work: kept.clone(), thread: None, bytes: 7 };
    checkpoints::record(&mut conn, run, &state).await.unwrap();
    // As it was when each attempt had one of its own.
    let workspace = BlobKey::stored(&format!("runs/{run}/1/workspace.bundle"));
    attempts::set_workspace_blob(&mut conn, run, Attempt::FIRST, workspace.as_str()).await.unwrap();
    let stray = checkpoints::new_blobs(run, Attempt::FIRST).0;
    let other = BlobKey::result(RunId::from_uuid(uuid::Uuid::now_v7()), Attempt::FIRST);
    let (job, young) = (BlobKey::job(run, Attempt::FIRST), checkpoints::new_blobs(run, Attempt(2)).0);
    for key in [&kept, &workspace, &stray, &other, &job, &young] {
        blobs.put(key, bytes::Bytes::from_static(b"x")).await.unwrap();
        if *key != young {
            let file = std::fs::File::options().append(true).open(dir.path().join(key.as_str())).unwrap();
            file.set_modified(days_ago(2).into()).unwrap();
        }
    }
    let old: Vec<BlobKey> = blobs.of_attempts_before(days_ago(1)).try_collect().await.unwrap();
    assert_eq!(old.len(), 5, "the youngest may still get its row: {old:?}");
    let unnamed: HashSet<BlobKey> = retention::unnamed(&mut conn, &old).await.unwrap().into_iter().collect();
    assert_eq!(unnamed, HashSet::from([stray, other]));
}

#[tokio::test]
async fn a_workspace_is_kept_as_long_as_an_attempt_names_it() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let (run, dir) = (world.run(1).await, tempfile::tempdir().unwrap());
    let blobs = Blobs::local(dir.path()).unwrap();
    let workspace = |commit: &str| BlobKey::workspace(world.repository, commit);
    let (named, unnamed, young) = (workspace("a"), workspace("b"), workspace("c"));
    attempts::set_workspace_blob(&mut conn, run, Attempt::FIRST, named.as_str()).await.unwrap();
    for key in [&named, &unnamed, &young] {
        blobs.put(key, bytes::Bytes::from_static(b"x")).await.unwrap();
        if *key != young {
            let file = std::fs::File::options().append(true).open(dir.path().join(key.as_str())).unwrap();
            file.set_modified(days_ago(2).into()).unwrap();
        }
    }
    assert!(blobs.written_at(&named).await.unwrap().unwrap() < days_ago(1));
    let old: Vec<BlobKey> = blobs.workspaces_before(days_ago(1)).try_collect().await.unwrap();
    assert_eq!(old.len(), 2, "the youngest may still get its row: {old:?}");
    assert_eq!(retention::unnamed(&mut conn, &old).await.unwrap(), [unnamed]);
    world.finish(run, Outcome::Lost).await;
    assert_eq!(retention::forget_bundles(&mut conn, run, at(101)).await.unwrap(), []);
    assert_eq!(retention::unnamed(&mut conn, &old).await.unwrap().len(), 2);
}
