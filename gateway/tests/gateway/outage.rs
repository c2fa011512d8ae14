//! Postgres is gone, silent, or busy.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use dispatch::{Dispatcher, Engine, EnginePlace, EngineSettings};
use gateway::{GatewaySettings, hook_secrets::GatewayKey};
use role::Environment;
use serde_json::Value;
use store::{
    Store,
    blobs::Blobs,
    locks::{self, Turn},
    reads::ReplicaOptions,
};
use telemetry::{Telemetry, TelemetrySettings, catalogue::Role};
use tokio::net::TcpListener;

use crate::{
    events::labeled,
    world::{FORGE_REPOSITORY, SECRET, World, client, eventually, listen, problem, sign, state},
};

async fn answered_by(database: &str) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::connect_lazy(database, 4).unwrap();
    let state = state(store, Blobs::local(folder.path()).unwrap(), GatewayKey::generate(), None);
    let (address, server) = listen(state).await;
    let body = labeled(1, "run:dev", 0).to_string();
    let began = Instant::now();
    let refused = client()
        .post(format!("http://{address}/webhooks/github"))
        .header("x-github-event", "issues")
        .header("x-github-delivery", "guid")
        .header("x-hub-signature-256", sign(SECRET, body.as_bytes()))
        .body(body)
        .send()
        .await
        .unwrap();
    assert!(began.elapsed() < Duration::from_secs(8));
    assert!(refused.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(problem(refused).await, (503, "store_unavailable".to_owned()));

    let ready = client().get(format!("http://{address}/readyz")).send().await.unwrap();
    assert_eq!(ready.status().as_u16(), 503);
    let alive = client().get(format!("http://{address}/healthz")).send().await.unwrap();
    assert_eq!(alive.status().as_u16(), 200);
    server.abort();
}

#[tokio::test]
async fn without_postgres_the_answer_is_503() {
    answered_by("postgres://nobody@127.0.0.1:1/nothing").await;
}

#[tokio::test]
async fn with_a_postgres_that_never_answers_it_is_503_too() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    answered_by(&format!("postgres://nobody@{}/nothing", silent.local_addr().unwrap())).await;
}

#[tokio::test]
async fn a_subject_that_stays_locked_is_503_and_then_goes_on() {
    let world = World::new().await;
    let mut tx = world.store().begin().await.unwrap();
    locks::take(&mut tx, &Turn::subject(FORGE_REPOSITORY, 1)).await.unwrap();
    let body = labeled(1, "run:dev", 0).to_string().into_bytes();
    let began = Instant::now();
    let (held, other) = tokio::join!(world.webhook("issues", "held", body.clone()).send(), async {
        world.send("issues", "other", &labeled(2, "run:dev", 0)).await
    });
    assert!(began.elapsed() < Duration::from_secs(8));
    assert_eq!(other["verdict"], "started");
    assert_eq!(problem(held.unwrap()).await, (503, "store_unavailable".to_owned()));
    assert_eq!(world.deliveries().await.len(), 1);
    tx.rollback().await.unwrap();
    let accepted = world.webhook("issues", "held", body).send().await.unwrap();
    assert_eq!(accepted.status().as_u16(), 202);
}

#[tokio::test]
async fn without_temporal_the_gateway_is_ready_and_says_so() {
    let world = World::new().await;
    let ready = world.client.get(world.url("/readyz")).send().await.unwrap();
    assert_eq!(ready.status().as_u16(), 200);
    let body: Value = ready.json().await.unwrap();
    let part = |name: &str| body["parts"].as_array().unwrap().iter().find(|part| part["name"] == name).unwrap().clone();
    assert_eq!((body["ready"].clone(), part("postgres")["ok"].clone()), (true.into(), true.into()));
    assert_eq!((part("temporal")["ok"].clone(), part("temporal")["needed"].clone()), (false.into(), false.into()));
    assert_eq!((body["status"].as_str(), part("keys")["ok"].clone()), (Some("degraded"), true.into()));
}

/// Hundreds of vain tries, again and again, would keep the database from storing what comes in.
#[tokio::test]
async fn while_temporal_is_away_a_sweep_tries_once() {
    let world = World::new().await;
    for number in 1..=5 {
        world.send("issues", &format!("guid-{number}"), &labeled(number, "run:dev", 0)).await;
    }
    let tries = async || -> i64 {
        let sum = "select sum(tries)::bigint from engine_commands";
        sqlx::query_scalar(sum).fetch_one(world.store().pool()).await.unwrap()
    };
    eventually("whoever stored a start tries it at once", async || tries().await == 5).await;
    // Later, when all are due again.
    let clock: dispatch::Clock = Arc::new(|| Utc::now() + TimeDelta::minutes(5));
    let engine =
        Engine::new(EngineSettings::at(&EnginePlace::at("127.0.0.1:1"), "test".parse().unwrap(), "gateway").unwrap());
    let telemetry = Arc::new(Telemetry::new(Role::Gateway, &TelemetrySettings::default()).unwrap());
    let sweeper = Dispatcher::new(world.store().clone(), engine, clock, TimeDelta::hours(12), telemetry);
    assert_eq!(sweeper.sweep().await.unwrap(), 5, "all wait");
    assert_eq!(tries().await, 6);
    // The one that was tried waits longer, so another has its turn.
    assert_eq!(sweeper.sweep().await.unwrap(), 4);
    assert_eq!(tries().await, 7);
}

#[tokio::test]
async fn without_its_replica_the_gateway_is_ready_and_says_so() {
    let world = World::new().await;
    let url = "postgres://nobody@127.0.0.1:1/nothing";
    let replica = ReplicaOptions { url, max_lag: Duration::from_secs(10) };
    let store = Store::connect_lazy(world.database.url(), 4).unwrap().with_replica(replica).unwrap();
    let (address, server) = listen(state(store, world.blobs.clone(), world.key.clone(), None)).await;
    let ready = world.client.get(format!("http://{address}/readyz")).send().await.unwrap();
    assert_eq!(ready.status().as_u16(), 200);
    let body: Value = ready.json().await.unwrap();
    assert_eq!((body["ready"].as_bool(), body["status"].as_str()), (Some(true), Some("degraded")), "{body}");
    let parts = body["parts"].as_array().unwrap();
    let replica = parts.iter().find(|part| part["name"] == "replica").unwrap();
    assert_eq!((replica["ok"].as_bool(), replica["needed"].as_bool()), (Some(false), Some(false)));
    assert!(replica["detail"].as_str().unwrap().contains("DATABASE_READ_URL"), "{replica}");
    let without: Value = world.client.get(world.url("/readyz")).send().await.unwrap().json().await.unwrap();
    assert!(without["parts"].as_array().unwrap().iter().all(|part| part["name"] != "replica"), "{without}");
    server.abort();
}

#[tokio::test]
async fn a_schema_that_is_too_old_makes_it_unready_and_a_newer_one_does_not() {
    let world = World::new().await;
    let readyz = async || {
        let answer = world.client.get(world.url("/readyz")).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    assert_eq!(readyz().await.0, 200);
    let run = async |sql: &'static str| sqlx::raw_sql(sql).execute(world.store().pool()).await.unwrap();

    // As a new release is that was started before the schema was brought up to date.
    run("update _sqlx_migrations set success = false where version = (select max(version) from _sqlx_migrations)")
        .await;
    eventually("the schema is missed", async || readyz().await.0 == 503).await;
    let detail = readyz().await.1["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.starts_with("The schema lacks migration ") && detail.contains("run `codex-k8s migrate`."),
        "{detail}"
    );

    // As an old release is beside the schema of a newer one.
    run("insert into _sqlx_migrations select 99990101000000, 'newer', now(), true, checksum, 1 from _sqlx_migrations limit 1").await;
    run("update _sqlx_migrations set success = true").await;
    eventually("the schema fits", async || readyz().await.0 == 200).await;

    run("drop table _sqlx_migrations").await;
    eventually("there is none", async || readyz().await.0 == 503).await;
    assert!(readyz().await.1["detail"].as_str().unwrap().contains("has no schema yet"));
}

#[tokio::test]
async fn the_role_starts_with_nothing_around_it_and_stops_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("key");
    std::fs::write(&key_file, GatewayKey::generate().to_hex()).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let blobs = folder.path().join("blobs");
    let environment: Environment = [
        ("CODEX_K8S_INSTANCE", "test"),
        ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing"),
        ("TEMPORAL_ADDRESS", "127.0.0.1:1"),
        ("GATEWAY_BIND", &free),
        ("WEBHOOK_SECRET", SECRET),
        ("GATEWAY_KEY_FILE", key_file.to_str().unwrap()),
        ("BLOB_DIR", blobs.to_str().unwrap()),
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
    let url = format!("http://{free}/healthz");
    eventually("the role answers", async || client().get(&url).send().await.is_ok_and(|answer| answer.status() == 200))
        .await;
    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(15), role).await.unwrap().unwrap().unwrap();
    assert!(client().get(&url).send().await.is_err());
}
