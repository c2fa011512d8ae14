//! What the platform remembers to judge by: intents, cancels, refusals, logs, histories.

use domain::{
    ids::Attempt,
    intent::IntentKind,
    job::{LogChunk, LogStream},
    triggers::{CancelMark, CancelRequest, DeliverySource, VerdictKind},
};
use store::{
    cancel_marks::{self, NewCancelMark},
    deliveries::{self, Inserted, NewDelivery},
    histories::{self, History},
    intents::{self, NewIntent},
    locks::{self, Turn},
    logs,
    refusals::{self, Refusal},
    storms,
};

use crate::world::{World, ada, at, issue};

const FIRST: Attempt = Attempt::FIRST;

#[tokio::test]
async fn an_echo_is_known_before_and_after_the_answer() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut conn = world.conn().await;
    let new = NewIntent {
        repository: world.repository,
        run: Some(run),
        kind: IntentKind::Comment,
        key: "<!-- marker -->",
        now: at(0),
    };
    let id = intents::store(&mut conn, new).await.unwrap();
    let (here, comment) = (world.repository, IntentKind::Comment);
    assert!(intents::matches(&mut conn, here, comment, "<!-- marker -->").await.unwrap());
    assert!(!intents::matches(&mut conn, here, comment, "<!-- other -->").await.unwrap());
    assert!(!intents::matches(&mut conn, here, IntentKind::Review, "<!-- marker -->").await.unwrap());
    assert!(!intents::matches_forge_id(&mut conn, here, comment, 99).await.unwrap());
    intents::done(&mut conn, id, Some(99), at(1)).await.unwrap();
    intents::done(&mut conn, id, None, at(2)).await.unwrap();
    assert!(intents::matches_forge_id(&mut conn, here, comment, 99).await.unwrap());
    assert!(intents::matches(&mut conn, here, comment, "<!-- marker -->").await.unwrap());
}

#[tokio::test]
async fn a_cancel_holds_back_starts_that_happened_before_it() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let delivery = NewDelivery {
        hook_key: 0,
        guid: "g",
        event: "issue_comment",
        action: None,
        repository: Some(world.repository),
        forge_repo_id: None,
        subject_number: Some(1),
        sender_login: None,
        sender_id: None,
        verdict: VerdictKind::NothingToCancel,
        reason: "no run is at work there",
        received_at: at(0),
        source: DeliverySource::Webhook,
    };
    let Inserted::New(delivery) = deliveries::insert(&mut conn, delivery, None).await.unwrap() else { panic!() };
    let request = CancelRequest { by: ada(), how: "wrote `/cancel`".to_owned(), trusted: false };
    let mark = CancelMark { label: Some("run:dev".to_owned()), at: at(10), request };
    let new = NewCancelMark { repository: world.repository, subject: issue(1), delivery, mark: &mark };
    cancel_marks::add(&mut conn, new).await.unwrap();
    cancel_marks::add(&mut conn, new).await.unwrap();
    let found = cancel_marks::find_after(&mut conn, world.repository, issue(1), at(10)).await.unwrap();
    assert_eq!(found, [mark]);
    assert!(cancel_marks::find_after(&mut conn, world.repository, issue(1), at(11)).await.unwrap().is_empty());
    assert!(cancel_marks::find_after(&mut conn, world.repository, issue(2), at(0)).await.unwrap().is_empty());
}

#[tokio::test]
async fn refusals_are_counted_and_told_once() {
    let world = World::new().await;
    let (first, second) = (world.run(1).await, world.run(2).await);
    let mut conn = world.conn().await;
    let refusal =
        Refusal { run: first, repository: world.repository, subject_number: 1, commented: false, now: at(10) };
    refusals::record(&mut conn, refusal).await.unwrap();
    assert!(!refusals::commented_on(&mut conn, world.repository, 1).await.unwrap());
    refusals::record(&mut conn, Refusal { commented: true, ..refusal }).await.unwrap();
    refusals::record(&mut conn, refusal).await.unwrap();
    refusals::record(&mut conn, Refusal { run: second, subject_number: 2, now: at(20), ..refusal }).await.unwrap();
    assert!(refusals::commented_on(&mut conn, world.repository, 1).await.unwrap());
    assert!(!refusals::commented_on(&mut conn, world.repository, 2).await.unwrap());
    assert_eq!(refusals::count_since(&mut conn, world.repository, at(10)).await.unwrap(), 2);
    assert_eq!(refusals::count_since(&mut conn, world.repository, at(11)).await.unwrap(), 1);
}

fn chunk(seq: u64, text: &str) -> LogChunk {
    LogChunk { seq, at: at(0), stream: LogStream::CodexStderr, text: text.to_owned() }
}

#[tokio::test]
async fn log_chunks_may_come_twice_and_out_of_order() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut conn = world.conn().await;
    logs::append(&mut conn, run, FIRST, &[]).await.unwrap();
    logs::append(&mut conn, run, FIRST, &[chunk(2, "c"), chunk(1, "b\0")]).await.unwrap();
    logs::append(&mut conn, run, FIRST, &[chunk(0, "a"), chunk(1, "other"), chunk(1, "twice")]).await.unwrap();
    let all = logs::read(&mut conn, run, FIRST, 0, 100).await.unwrap();
    assert_eq!(all, [chunk(0, "a"), chunk(1, "b\u{fffd}"), chunk(2, "c")]);
    assert_eq!(logs::read(&mut conn, run, FIRST, 1, 1).await.unwrap(), all[1..2]);
    assert!(logs::read(&mut conn, run, Attempt(2), 0, 100).await.unwrap().is_empty());
}

#[tokio::test]
async fn every_stream_can_be_stored() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut conn = world.conn().await;
    let streams = [LogStream::Codex, LogStream::CodexStderr, LogStream::Check, LogStream::Runner];
    let chunks: Vec<LogChunk> =
        (0..).zip(streams).map(|(seq, stream)| LogChunk { stream, ..chunk(seq, "x") }).collect();
    logs::append(&mut conn, run, FIRST, &chunks).await.unwrap();
    assert_eq!(logs::read(&mut conn, run, FIRST, 0, 10).await.unwrap(), chunks);
}

#[tokio::test]
async fn the_longer_history_stays() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut conn = world.conn().await;
    assert!(histories::get(&mut conn, run, FIRST).await.unwrap().is_none());
    let long = History { blob: "long".to_owned(), events: 40, archived_at: at(2) };
    let short = History { blob: "short".to_owned(), events: 30, archived_at: at(3) };
    histories::record(&mut conn, run, FIRST, &long).await.unwrap();
    histories::record(&mut conn, run, FIRST, &short).await.unwrap();
    assert_eq!(histories::get(&mut conn, run, FIRST).await.unwrap(), Some(long));
}

#[tokio::test]
async fn who_judges_the_same_subject_waits() {
    let world = World::new().await;
    let (mut first, mut second) = (world.begin().await, world.begin().await);
    locks::take(&mut first, &Turn::subject(1, 5)).await.unwrap();
    locks::take(&mut second, &Turn::subject(1, 6)).await.unwrap();
    locks::take(&mut second, &Turn::sticky_comment(world.run(1).await)).await.unwrap();
    sqlx::raw_sql("set local lock_timeout = '20ms'").execute(&mut *second).await.unwrap();
    let waited = locks::take(&mut second, &Turn::subject(1, 5)).await;
    assert!(waited.is_err_and(|error| error.is_unavailable()));
    first.commit().await.unwrap();
    let mut third = world.begin().await;
    locks::take(&mut third, &Turn::subject(1, 5)).await.unwrap();
}

#[tokio::test]
async fn what_is_free_is_taken_and_nobody_is_waited_for() {
    let world = World::new().await;
    let (mut first, mut second) = (world.begin().await, world.begin().await);
    let [five, repository, delivery] = [Turn::subject(1, 5), Turn::repository(1), Turn::delivery(0, "guid")];
    let ours = locks::take_free(&mut first, &[five.clone(), repository.clone(), five.clone()]).await.unwrap();
    assert_eq!(ours, [true, true, true], "what is ours already stays ours");
    let theirs = locks::take_free(&mut second, &[delivery.clone(), five.clone(), repository.clone()]).await.unwrap();
    assert_eq!(theirs, [true, false, false]);
    first.commit().await.unwrap();
    assert_eq!(locks::take_free(&mut second, &[five]).await.unwrap(), [true]);
    assert_eq!(locks::take_free(&mut second, &[]).await.unwrap(), [] as [bool; 0]);
}

#[tokio::test]
async fn a_storm_counts_what_was_held_back_and_ends_with_an_hour_of_quiet() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let delivery = |guid: &'static str| deliveries::NewDelivery {
        hook_key: 0,
        guid,
        event: "issues",
        action: None,
        repository: Some(world.repository),
        forge_repo_id: None,
        subject_number: Some(1),
        sender_login: None,
        sender_id: None,
        verdict: VerdictKind::LoopGuard,
        reason: "enough",
        received_at: at(0),
        source: DeliverySource::Webhook,
    };
    let deliveries::Inserted::New(id) = deliveries::insert(&mut conn, delivery("a"), None).await.unwrap() else {
        panic!("it was there")
    };
    let held =
        storms::HeldBack { repository: world.repository, subject: issue(1), reason: "enough", delivery: id, at: at(0) };
    storms::note(&mut conn, held).await.unwrap();
    storms::note(&mut conn, storms::HeldBack { at: at(60), ..held }).await.unwrap();
    let storm = storms::since(&mut conn, at(30)).await.unwrap().remove(0);
    assert_eq!((storm.subject, storm.first_at, storm.last_at, storm.held_back), (issue(1), at(0), at(60), 2));
    assert!(storms::since(&mut conn, at(61)).await.unwrap().is_empty());
    storms::note(&mut conn, storms::HeldBack { at: at(3_661), ..held }).await.unwrap();
    let storm = storms::since(&mut conn, at(30)).await.unwrap().remove(0);
    assert_eq!((storm.first_at, storm.held_back), (at(3_661), 1), "a new one");
}
