//! Webhooks that are stored together.

use bytes::Bytes;
use chrono::Utc;
use domain::{
    event::Event,
    ids::Instance,
    triggers::{DeliverySource, VerdictKind},
};
use futures::future::join_all;
use gateway::{GatewaySettings, hook_secrets::GatewayKey};
use ingest::{Arrival, GroupError, Grouped, record_group};
use role::Environment;
use serde_json::{Value, json};
use store::{
    Store,
    locks::{self, Turn},
    repositories,
};
use tokio::net::TcpListener;

use crate::{
    events::{labeled, repository, sender, unlabeled},
    world::{FORGE_REPOSITORY, SECRET, World, client, eventually, listen, new_repository, problem, sign, state},
};

fn instance() -> Instance {
    "test".parse().unwrap()
}

/// An event with the GUID under which it comes.
struct Told {
    guid: String,
    event: Event,
    body: Bytes,
}

fn told(guid: &str, name: &str, payload: &Value) -> Told {
    let body = Bytes::from(payload.to_string());
    Told { guid: guid.to_owned(), event: Event::parse(name, &body).unwrap(), body }
}

/// A label on each of these issues.
fn wishes(numbers: &[i64]) -> Vec<Told> {
    numbers.iter().map(|number| told(&format!("on-{number}"), "issues", &labeled(*number, "run:dev", 0))).collect()
}

fn arrivals(told: &[Told]) -> Vec<Arrival<'_>> {
    told.iter()
        .map(|told| Arrival {
            hook_key: 1,
            guid: &told.guid,
            spoken_for: None,
            event: &told.event,
            body: &told.body,
            received_at: Utc::now(),
            source: DeliverySource::Webhook,
        })
        .collect()
}

/// In words: a verdict, or `alone`.
async fn together(store: &Store, told: &[Told]) -> Vec<&'static str> {
    let grouped = record_group(store, &instance(), &arrivals(told)).await.unwrap();
    let word = |grouped: &Grouped| match grouped {
        Grouped::Recorded(recorded) => recorded.verdict.as_str(),
        Grouped::Alone => "alone",
    };
    grouped.iter().map(word).collect()
}

async fn number(world: &World, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(world.store().pool()).await.unwrap()
}

async fn transactions(world: &World) -> i64 {
    number(world, "select count(distinct xmin::text) from deliveries").await
}

/// Fails every delivery with the GUID `bad`.
async fn break_the_bad(world: &World) {
    let sql = "create function break_the_bad() returns trigger language plpgsql as \
                   $$ begin raise exception 'this one is bad'; end $$; \
               create trigger break_the_bad before insert on deliveries for each row when (new.guid = 'bad') \
                   execute function break_the_bad()";
    sqlx::raw_sql(sql).execute(world.store().pool()).await.unwrap();
}

/// Sends all at once, and lets the gateway store nothing until those are with it that `before` waits for.
async fn send_while_held<F: Future<Output = ()>>(world: &World, bodies: &[(&str, Vec<u8>)], before: F) -> Vec<u16> {
    let mut held = world.store().begin().await.unwrap();
    sqlx::raw_sql("lock table deliveries in share mode").execute(&mut *held).await.unwrap();
    let sends =
        join_all(bodies.iter().map(async |(guid, body)| {
            world.webhook("issues", guid, body.clone()).send().await.unwrap().status().as_u16()
        }));
    let release = async {
        before.await;
        held.rollback().await.unwrap();
    };
    tokio::join!(sends, release).0
}

/// Until so many bytes of webhooks are in memory, signed and waiting.
async fn buffered(world: &World, bytes: usize) {
    let whole = 64 << 20;
    eventually("the webhooks are with the gateway", async || world.state.body_budget().free() <= whole - bytes).await;
}

fn bodies(guids: &[String], first: i64) -> Vec<(&str, Vec<u8>)> {
    let body = |number: i64| labeled(number, "run:dev", 0).to_string().into_bytes();
    (first..).zip(guids).map(|(number, guid)| (guid.as_str(), body(number))).collect()
}

#[tokio::test]
async fn a_group_is_one_transaction() {
    let world = World::new().await;
    assert_eq!(together(world.store(), &wishes(&[1, 2, 3])).await, ["started"; 3]);
    assert_eq!((world.deliveries().await.len(), transactions(&world).await), (3, 1));
    assert_eq!(together(world.store(), &wishes(&[3, 4])).await, ["started"; 2], "a duplicate keeps its verdict");
    assert_eq!(number(&world, "select count(*) from runs").await, 4);
}

#[tokio::test]
async fn two_events_about_one_issue_are_judged_one_after_the_other() {
    let world = World::new().await;
    let mut both = wishes(&[1]);
    both.push(told("again", "issues", &labeled(1, "run:dev", 1)));
    both.push(told("on-1", "issues", &labeled(1, "run:dev", 0)));
    assert_eq!(together(world.store(), &both).await, ["started", "already_working", "started"]);
    assert_eq!(number(&world, "select count(*) from runs").await, 1);
}

#[tokio::test]
async fn what_comes_to_nothing_is_written_together_and_keeps_its_place() {
    let world = World::new().await;
    let idle = |guid: &str, number| told(guid, "issues", &labeled(number, "bug", 0));
    let mut group = vec![idle("idle-1", 1)];
    group.extend(wishes(&[1, 2]));
    group.extend([idle("idle-2", 2), idle("idle-1", 1), idle("idle-3", 3)]);
    let became = together(world.store(), &group).await;
    assert_eq!(became, ["no_rule", "started", "started", "no_rule", "no_rule", "no_rule"]);
    assert_eq!(number(&world, "select count(*) from deliveries").await, 5, "one came twice");
    assert_eq!(number(&world, "select count(*) from delivery_payloads").await, 5);
    assert_eq!(transactions(&world).await, 1);
}

#[tokio::test]
async fn what_somebody_works_on_is_not_waited_for() {
    let world = World::new().await;
    let mut other = world.store().begin().await.unwrap();
    locks::take(&mut other, &Turn::subject(FORGE_REPOSITORY, 2)).await.unwrap();
    assert_eq!(together(world.store(), &wishes(&[1, 2, 3])).await, ["started", "alone", "started"]);
    other.rollback().await.unwrap();
    assert_eq!(together(world.store(), &wishes(&[2])).await, ["started"]);
}

#[tokio::test]
async fn what_changes_rows_that_others_may_hold_has_a_transaction_of_its_own() {
    let world = World::new().await;
    assert_eq!(together(world.store(), &wishes(&[1])).await, ["started"]);
    let renamed = json!({
        "action": "renamed", "changes": {}, "repository": repository(), "sender": sender(crate::events::ANNA)
    });
    let mut group = wishes(&[2]);
    group.push(told("off-1", "issues", &unlabeled(1, "run:dev", 1)));
    group.push(told("again-1", "issues", &labeled(1, "run:dev", 2)));
    group.extend(wishes(&[3]));
    group.push(told("renamed", "repository", &renamed));
    group.extend(wishes(&[4]));
    let became = together(world.store(), &group).await;
    assert_eq!(became, ["started", "alone", "alone", "started", "alone", "started"], "nothing overtakes what is left");
    assert_eq!(together(world.store(), &group[1..2]).await, ["signalled"], "one alone is a group, too");
    assert_eq!(together(world.store(), &group[4..5]).await, ["repository_updated"]);
}

#[tokio::test]
async fn a_group_that_fails_leaves_nothing_behind() {
    let world = World::new().await;
    break_the_bad(&world).await;
    let mut group = wishes(&[1, 2]);
    group.insert(1, told("bad", "issues", &labeled(9, "run:dev", 0)));
    let failed = record_group(world.store(), &instance(), &arrivals(&group)).await;
    assert!(matches!(failed, Err(GroupError::RolledBack(_))), "{failed:?}");
    assert_eq!(world.deliveries().await.len(), 0);
    let nowhere = Store::connect_lazy("postgres://nobody@127.0.0.1:1/nothing", 1).unwrap();
    let failed = record_group(&nowhere, &instance(), &arrivals(&group)).await;
    assert!(matches!(failed, Err(GroupError::NotBegun(_))), "{failed:?}");
}

#[tokio::test]
async fn what_comes_while_others_are_stored_is_stored_together() {
    let world = World::new().await;
    let guids: Vec<String> = (0..24).map(|place| format!("guid-{place}")).collect();
    let bodies = bodies(&guids, 1);
    let bytes: usize = bodies.iter().map(|(_, body)| body.len()).sum();
    let statuses = send_while_held(&world, &bodies, buffered(&world, bytes)).await;
    assert!(statuses.iter().all(|status| *status == 202), "{statuses:?}");
    assert_eq!(world.deliveries().await.len(), 24);
    // The first ones went at once, alone or nearly; all others gathered behind them.
    let transactions = transactions(&world).await;
    assert!((1..=6).contains(&transactions), "{transactions}");
    eventually("the memory is free again", async || world.state.body_budget().free() == 64 << 20).await;
}

#[tokio::test]
async fn a_bad_one_in_the_middle_fails_alone() {
    let world = World::new().await;
    break_the_bad(&world).await;
    let mut guids: Vec<String> = (0..24).map(|place| format!("guid-{place}")).collect();
    guids[12] = "bad".to_owned();
    let bodies = bodies(&guids, 1);
    let bytes: usize = bodies.iter().map(|(_, body)| body.len()).sum();
    let statuses = send_while_held(&world, &bodies, buffered(&world, bytes)).await;
    assert_eq!(statuses[12], 500, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 202).count(), 23, "{statuses:?}");
    assert_eq!(world.deliveries().await.len(), 23);
    assert_eq!(number(&world, "select count(*) from runs").await, 23);
    assert_eq!(number(&world, "select count(*) from engine_commands").await, 23);
}

#[tokio::test]
async fn two_gateways_that_get_the_same_in_opposite_order_never_wait_for_each_other_for_good() {
    let world = World::new().await;
    let second =
        state(Store::connect_lazy(world.database.url(), 16).unwrap(), world.blobs.clone(), world.key.clone(), None);
    let (address, server) = listen(second).await;
    let mut conn = world.store().acquire().await.unwrap();
    repositories::upsert_repository(&mut conn, new_repository(world.project, 5, "other")).await.unwrap();
    drop(conn);
    let push = |id: i64, sha: usize| {
        let mut payload = json!({
            "ref": "refs/heads/master", "before": "0".repeat(40), "after": format!("{sha:040}"), "commits": [],
            "repository": repository(), "sender": sender(crate::events::ANNA)
        });
        payload["repository"]["id"] = json!(id);
        payload
    };
    for round in 0..6_u32 {
        // Starts, cancels and pushes in two repositories: all that two groups could want of each other.
        let mut wishes: Vec<(&str, String, Value)> = Vec::new();
        for issue in 1..=8 {
            let at = 2 * round;
            wishes.push(("issues", format!("on-{round}-{issue}"), labeled(issue, "run:dev", at)));
            wishes.push(("issues", format!("off-{round}-{issue}"), unlabeled(issue, "run:dev", at + 1)));
            let id = if issue % 2 == 0 { 5 } else { FORGE_REPOSITORY };
            wishes.push(("push", format!("push-{round}-{issue}"), push(id, usize::try_from(issue).unwrap())));
        }
        let send = async |to: String, (event, guid, payload): &(&str, String, Value)| {
            let body = payload.to_string().into_bytes();
            let signature = sign(SECRET, &body);
            let request = world.client.post(to).header("x-github-event", *event).header("x-github-delivery", guid);
            let sent = request.header("x-hub-signature-256", signature).body(body).send().await.unwrap();
            assert_eq!(sent.status().as_u16(), 202, "{}", sent.text().await.unwrap());
        };
        let here = join_all(wishes.iter().map(|wish| send(world.url("/webhooks/github"), wish)));
        let there = join_all(wishes.iter().rev().map(|wish| send(format!("http://{address}/webhooks/github"), wish)));
        tokio::join!(here, there);
    }
    server.abort();
    assert_eq!(world.deliveries().await.len(), 6 * 24, "each is stored once");
    let twice = "select count(*) from (select 1 from runs where state <> 'finished' group by subject_number \
                 having count(*) > 1) as doubled";
    assert_eq!(number(&world, twice).await, 0);
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(number(&world, deadlocks).await, 0);
}

#[tokio::test]
async fn a_gateway_that_is_told_to_stop_answers_what_it_has() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("key");
    std::fs::write(&key_file, GatewayKey::generate().to_hex()).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let environment: Environment = [
        ("CODEX_K8S_INSTANCE", "test"),
        ("DATABASE_URL", world.database.url()),
        ("TEMPORAL_ADDRESS", "127.0.0.1:1"),
        ("GATEWAY_BIND", &free),
        ("WEBHOOK_SECRET", SECRET),
        ("GATEWAY_KEY_FILE", key_file.to_str().unwrap()),
        ("BLOB_DIR", folder.path().join("blobs").to_str().unwrap()),
        ("LOG_FORMAT", "text"),
    ]
    .into_iter()
    .collect();
    let settings = GatewaySettings::read(&environment).unwrap();
    // The role would start a log for the whole process, and all tests share it.
    let _ = tracing::subscriber::set_global_default(tracing::subscriber::NoSubscriber::default());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let role = tokio::spawn(gateway::serve(settings, async {
        let _ = stopped.await;
    }));
    let alive = format!("http://{free}/healthz");
    eventually("the role answers", async || client().get(&alive).send().await.is_ok()).await;

    let mut held = world.store().begin().await.unwrap();
    sqlx::raw_sql("lock table deliveries in share mode").execute(&mut *held).await.unwrap();
    let sends = join_all((1..=12).map(|number| {
        let body = labeled(number, "run:dev", 0).to_string().into_bytes();
        let signature = sign(SECRET, &body);
        let request = client().post(format!("http://{free}/webhooks/github")).header("x-github-event", "issues");
        let request = request.header("x-github-delivery", format!("guid-{number}"));
        request.header("x-hub-signature-256", signature).body(body).send()
    }));
    let ending = async {
        let waiting = "select count(*) from pg_stat_activity where datname = current_database() \
                       and wait_event_type = 'Lock' and application_name = 'codex-k8s'";
        eventually("webhooks wait to be stored", async || number(&world, waiting).await > 0).await;
        stop.send(()).unwrap();
        eventually("nothing new is taken", async || client().get(&alive).send().await.is_err()).await;
        assert_eq!(world.deliveries().await.len(), 0);
        held.rollback().await.unwrap();
    };
    let (answers, ()) = tokio::join!(sends, ending);
    // What was with the gateway is answered; what was still on its way finds nobody.
    let accepted = answers.iter().filter(|answer| answer.as_ref().is_ok_and(|answer| answer.status() == 202)).count();
    assert!(accepted > 0, "{answers:?}");
    assert_eq!(world.deliveries().await.len(), accepted, "stored is what was answered");
    tokio::time::timeout(std::time::Duration::from_secs(15), role).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn one_issue_that_everybody_writes_about_does_not_hold_up_the_others() {
    let world = World::with_connections(16).await;
    let mut other = world.store().begin().await.unwrap();
    locks::take(&mut other, &Turn::subject(FORGE_REPOSITORY, 1)).await.unwrap();
    let hot = join_all((0..12).map(async |place| {
        let body = labeled(1, "run:dev", place).to_string().into_bytes();
        world.webhook("issues", &format!("hot-{place}"), body).send().await.unwrap()
    }));
    let cold = async {
        let waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted";
        eventually("the others wait", async || number(&world, waiting).await == 8).await;
        for number in 2..=10 {
            let answer = world.send("issues", &format!("cold-{number}"), &labeled(number, "run:dev", 0)).await;
            assert_eq!(answer["verdict"], VerdictKind::Started.as_str());
        }
        other.rollback().await.unwrap();
    };
    let (answers, ()) = tokio::join!(hot, cold);
    for answer in answers {
        let status = answer.status().as_u16();
        assert_eq!(status, 202, "{:?}", problem(answer).await);
    }
    assert_eq!(number(&world, "select count(*) from runs").await, 10);
}
