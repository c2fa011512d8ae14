//! Pages that are open: what they are told, when, and what ends them.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    ids::{Attempt, RunId},
    job::{LogChunk, LogStream},
    run::{Outcome, RunState, Step},
};
use futures::StreamExt;
use serde_json::{Value, json};
use store::{
    PgConnection, logs,
    steps::{self, Entry, StepKey},
};
use tokio::time::{Instant, timeout};

use crate::{
    browser::Browser,
    runs::{finish, repositories, run},
    world::World,
};

/// A bound for broken code: what others of the same database server have under way holds news back for as long.
const PATIENCE: Duration = Duration::from_secs(30);

/// An open stream, read event by event.
struct Page {
    chunks: futures::stream::BoxStream<'static, Vec<u8>>,
    text: String,
    last_id: String,
}

impl Page {
    async fn open(browser: &Browser<'_>, query: &str, after: Option<&str>) -> Self {
        let request = browser.request(reqwest::Method::GET, &format!("/api/v1/live{query}"));
        let request = if let Some(id) = after { request.header("last-event-id", id) } else { request };
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{query}");
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let chunks = answer.bytes_stream().map(|chunk| chunk.map(|bytes| bytes.to_vec()).unwrap_or_default()).boxed();
        Self { chunks, text: String::new(), last_id: String::new() }
    }

    /// The next event; none once the stream has ended.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                if let Some(id) = field("id: ") {
                    self.last_id = id;
                }
                return Some((field("event: ").unwrap(), serde_json::from_str(&field("data: ").unwrap()).unwrap()));
            }
            let chunk = timeout(PATIENCE, self.chunks.next()).await.unwrap()?;
            self.text += &String::from_utf8(chunk).unwrap();
        }
    }

    /// The next event of this kind.
    async fn told(&mut self, kind: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "nothing of {kind}");
            let (event, data) = self.next().await.unwrap_or_else(|| panic!("ended before {kind}"));
            if event == kind {
                return data;
            }
        }
    }

    /// Everything up to the next tick.
    async fn until_tick(&mut self) -> Vec<(String, Value)> {
        let mut events = Vec::new();
        loop {
            let event = self.next().await.unwrap();
            if event.0 == "tick" {
                return events;
            }
            events.push(event);
        }
    }
}

async fn move_on(world: &World, id: RunId, step: Step) {
    enter(&mut world.store().acquire().await.unwrap(), id, step, world.now()).await;
}

async fn enter(conn: &mut PgConnection, run: RunId, step: Step, now: DateTime<Utc>) {
    let entry = Entry { state: RunState::Working, heard_until: now, now };
    steps::enter(conn, StepKey { run, attempt: Attempt::FIRST, step }, entry).await.unwrap();
}

#[tokio::test]
async fn a_list_learns_of_what_one_may_see_and_of_nothing_else() {
    let world = World::start().await;
    let (greeter, vault) = repositories(&world).await;
    let (reader, admin) = (world.signed_in("reader").await, world.signed_in("admin").await);
    let (mut mine, mut all) = (Page::open(&reader, "", None).await, Page::open(&admin, "", None).await);
    mine.told("ready").await;
    all.told("ready").await;
    let hidden = run(&world, vault, 1, world.now()).await;
    let seen = run(&world, greeter, 1, world.now()).await;
    assert_eq!(mine.told("runs").await, json!({ "runs": [seen] }));
    let mut told = Vec::new();
    while told.len() < 2 {
        told.extend(all.told("runs").await["runs"].as_array().unwrap().clone());
    }
    told.sort_by_key(ToString::to_string);
    let mut expected = vec![json!(hidden), json!(seen)];
    expected.sort_by_key(ToString::to_string);
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_run_page_hears_of_its_run_and_of_its_log() {
    let world = World::start().await;
    let (greeter, _) = repositories(&world).await;
    let (id, other) = (run(&world, greeter, 1, world.now()).await, run(&world, greeter, 2, world.now()).await);
    let reader = world.signed_in("reader").await;
    let mut page = Page::open(&reader, &format!("?run={id}"), None).await;
    page.told("ready").await;
    move_on(&world, other, Step::Clone).await;
    move_on(&world, id, Step::Agent).await;
    assert_eq!(page.told("runs").await, json!({ "runs": [id] }));
    let mut conn = world.store().acquire().await.unwrap();
    // At once: a look between two of them would tell them apart.
    let words = |seq| LogChunk { seq, at: world.now(), stream: LogStream::Codex, text: "words\n".into() };
    logs::append(&mut conn, id, Attempt::FIRST, &[words(0), words(1), words(2)]).await.unwrap();
    // Nobody rings: it is found all the same, and told once.
    assert_eq!(page.told("log").await, json!({ "attempt": 1, "next": 3 }));
    let later = page.until_tick().await;
    assert!(later.iter().all(|(kind, _)| kind != "log"), "{later:?}");
    // With a ring it does not take a look's time.
    world.store().ring_log(id, Attempt::FIRST, 4);
    let began = Instant::now();
    assert_eq!(page.told("log").await, json!({ "attempt": 1, "next": 4 }));
    assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
}

#[tokio::test]
async fn who_comes_back_has_missed_nothing() {
    let world = World::start().await;
    let (greeter, _) = repositories(&world).await;
    let reader = world.signed_in("reader").await;
    let mut page = Page::open(&reader, "", None).await;
    page.told("ready").await;
    let known = run(&world, greeter, 1, world.now()).await;
    assert_eq!(page.told("runs").await, json!({ "runs": [known] }));
    page.told("tick").await;
    let id = page.last_id.clone();
    drop(page);
    let missed = run(&world, greeter, 2, world.now()).await;
    let mut again = Page::open(&reader, "", Some(&id)).await;
    let (event, data) = again.next().await.unwrap();
    assert_eq!(event, "runs");
    assert!(data["runs"].as_array().unwrap().contains(&json!(missed)), "{data}");
    drop(again);
    // The same by the address, for who can't send the header.
    let mut by_query = Page::open(&reader, &format!("?after={id}"), None).await;
    assert_eq!(by_query.next().await.unwrap().0, "runs");
    // After too long it is all to be loaded again.
    let (horizon, at) = id.split_once('-').unwrap();
    let old = format!("{horizon}-{}", at.parse::<i64>().unwrap() - 3600);
    assert_eq!(Page::open(&reader, "", Some(&old)).await.next().await.unwrap().0, "ready");
    for wrong in ["nonsense", "1", "99999999999999999999-1"] {
        reader.get(&format!("/api/v1/live?after={wrong}")).await.refused(400, "last_event_invalid");
    }
}

/// Numbers of transactions and times of rows are not in the order of commits: what was begun first may end last.
#[tokio::test]
async fn a_transaction_that_was_held_open_is_told_when_it_ends() {
    let world = World::start().await;
    let (greeter, _) = repositories(&world).await;
    let (slow, quick) = (run(&world, greeter, 1, world.now()).await, run(&world, greeter, 2, world.now()).await);
    let reader = world.signed_in("reader").await;
    let mut page = Page::open(&reader, "", None).await;
    page.told("ready").await;
    // That they were made may be told once more: a transaction of any other database of the server holds the horizon back.
    page.until_tick().await;
    let mut held = world.store().begin().await.unwrap();
    enter(&mut held, slow, Step::Clone, world.now()).await;
    move_on(&world, quick, Step::Agent).await;
    assert_eq!(page.told("runs").await, json!({ "runs": [quick] }));
    // Later ones are told meanwhile, each once; and a place to resume from that lies behind the open one is not given out.
    let between = page.until_tick().await;
    assert!(between.is_empty(), "{between:?}");
    let id = page.last_id.clone();
    held.commit().await.unwrap();
    assert_eq!(page.told("runs").await, json!({ "runs": [slow] }));
    drop(page);
    let mut resumed = Page::open(&reader, "", Some(&id)).await;
    let told = resumed.told("runs").await;
    assert!(told["runs"].as_array().unwrap().contains(&json!(slow)), "{told}");
}

#[tokio::test]
async fn more_than_is_told_one_by_one_is_to_be_loaded_again() {
    let world = World::start().await;
    let (greeter, _) = repositories(&world).await;
    let mut ids = Vec::new();
    for number in 1..=201 {
        ids.push(run(&world, greeter, number, world.now()).await);
    }
    let reader = world.signed_in("reader").await;
    let (mut page, mut of_one) =
        (Page::open(&reader, "", None).await, Page::open(&reader, &format!("?run={}", ids[7]), None).await);
    for open in [&mut page, &mut of_one] {
        open.told("ready").await;
        // That they were made may be told once more.
        open.until_tick().await;
    }
    let mut tx = world.store().begin().await.unwrap();
    for id in &ids {
        enter(&mut tx, *id, Step::Clone, world.now()).await;
    }
    tx.commit().await.unwrap();
    let told = loop {
        let event = page.next().await.unwrap();
        if event.0 != "tick" {
            break event;
        }
    };
    assert_eq!(told, ("reload".to_owned(), json!({})));
    // Whose page is about one of them is told of it as always.
    assert_eq!(of_one.told("runs").await, json!({ "runs": [ids[7]] }));
}

#[tokio::test]
async fn a_stream_ends_with_its_token_and_with_its_person() {
    let world = World::start().await;
    let (greeter, _) = repositories(&world).await;
    let id = run(&world, greeter, 1, world.now()).await;
    let (reader, writer) = (world.signed_in("reader").await, world.signed_in("writer").await);
    let owner = world.signed_in("owner").await;
    let mut of_reader = Page::open(&reader, "", None).await;
    let mut of_writer = Page::open(&writer, &format!("?run={id}"), None).await;
    of_reader.told("ready").await;
    of_writer.told("ready").await;
    let reader_id = world.person("reader").await.id;
    owner.patch(&format!("/api/v1/people/{reader_id}"), json!({ "disabled": true })).await.ok();
    assert_eq!(of_reader.told("over").await, json!({ "why": "signed_out" }));
    assert!(of_reader.next().await.is_none(), "nothing comes after it");
    // Who is no member any more does not hear of the run.
    let writer_id = world.person("writer").await.id;
    owner.delete(&format!("/api/v1/projects/demo/members/{writer_id}")).await;
    assert_eq!(of_writer.told("over").await, json!({ "why": "unseen" }));
    writer.get(&format!("/api/v1/live?run={id}")).await.refused(404, "run_not_found");
    let mut of_owner = Page::open(&owner, "", None).await;
    of_owner.told("ready").await;
    world.pass(TimeDelta::minutes(11));
    assert_eq!(of_owner.told("over").await, json!({ "why": "token" }));
    assert!(of_owner.next().await.is_none());
}

#[tokio::test]
async fn the_end_of_a_run_is_told_by_every_gateway() {
    let world = World::start().await;
    let (greeter, _) = repositories(&world).await;
    let id = run(&world, greeter, 1, world.now()).await;
    let reader = world.signed_in("reader").await;
    let second = world.second_gateway().await;
    let there = reader.at(&second);
    let mut here = Page::open(&reader, &format!("?run={id}"), None).await;
    let mut page_there = Page::open(&there, &format!("?run={id}"), None).await;
    here.told("ready").await;
    page_there.told("ready").await;
    finish(&world, id, Outcome::Lost).await;
    world.store().ring(id);
    assert_eq!(here.told("runs").await, json!({ "runs": [id] }));
    assert_eq!(page_there.told("runs").await, json!({ "runs": [id] }));
    // Where one ended, the other goes on: the place to resume from is the database's.
    let last = here.last_id.clone();
    drop(here);
    let again = run(&world, greeter, 3, world.now()).await;
    let mut elsewhere = Page::open(&there, "", Some(&last)).await;
    let told = elsewhere.told("runs").await;
    assert!(told["runs"].as_array().unwrap().contains(&json!(again)), "{told}");
}
