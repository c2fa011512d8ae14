//! What the settings say of the engine; and the namespace that everything leads to.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use chrono::TimeDelta;
use dispatch::EnginePlace;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::world::World;

fn real() -> String {
    std::env::var("CODEX_K8S_TEST_TEMPORAL").unwrap()
}

async fn shown(world: &World) -> Value {
    world.signed_in("admin").await.get("/api/v1/settings").await.ok()["engine"].clone()
}

#[tokio::test]
async fn the_engine_says_its_version() {
    let world = World::before_engine(EnginePlace::at(real()), None).await;
    let engine = shown(&world).await;
    assert_eq!((&engine["address"], &engine["namespace"]), (&json!(real()), &json!("default")));
    let version = engine["server_version"].as_str().unwrap();
    assert!(version.split('.').count() == 3 && engine["trouble"].is_null(), "{engine}");
}

#[tokio::test]
async fn a_namespace_that_the_engine_does_not_have_is_told() {
    let place = EnginePlace { namespace: "nobody-made-it".parse().unwrap(), ..EnginePlace::at(real()) };
    let engine = shown(&World::before_engine(place, None).await).await;
    assert_eq!((&engine["namespace"], &engine["server_version"]), (&json!("nobody-made-it"), &Value::Null));
    let detail = "Temporal answers, and does not have this namespace.";
    let coded = json!({"code": "engine_lacks_this_namespace", "params": {}});
    assert_eq!(engine["trouble"], json!({"kind": "no_namespace", "detail": detail, "detail_coded": coded}));
}

#[tokio::test]
async fn an_engine_that_is_away_does_not_take_the_settings_with_it() {
    let engine = shown(&World::start().await).await;
    let detail = "Temporal does not answer at this address just now.";
    let coded = json!({"code": "engine_silent", "params": {}});
    let trouble = json!({"kind": "unreachable", "detail": detail, "detail_coded": coded});
    let expected =
        json!({"address": "127.0.0.1:1", "namespace": "default", "server_version": null, "trouble": trouble});
    assert_eq!(engine, expected);
}

#[tokio::test]
async fn an_engine_that_is_silent_is_not_asked_by_every_page() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = EnginePlace::at(listener.local_addr().unwrap().to_string());
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut silent = Vec::new();
        loop {
            silent.push(listener.accept().await.unwrap());
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let world = World::before_engine(place, None).await;
    let admin = world.signed_in("admin").await;
    let kind = async || admin.get("/api/v1/settings").await.ok()["engine"]["trouble"]["kind"].clone();
    assert_eq!((kind().await, asked.load(Ordering::SeqCst)), (json!("unreachable"), 1));
    assert_eq!((kind().await, asked.load(Ordering::SeqCst)), (json!("unreachable"), 1));
    world.pass(TimeDelta::seconds(10));
    assert_eq!((kind().await, asked.load(Ordering::SeqCst)), (json!("unreachable"), 2));
}

#[tokio::test]
async fn everything_leads_to_the_namespace_of_this_installation() {
    let place = EnginePlace { namespace: "codex".parse().unwrap(), ..EnginePlace::at(real()) };
    let ui = std::env::var("CODEX_K8S_TEST_TEMPORAL_UI").unwrap();
    let world = World::before_engine(place, Some(&ui)).await;
    let admin = world.signed_in("admin").await;
    assert_eq!(admin.get("/api/v1/me").await.ok()["engine_ui"]["namespace"], json!("codex"));
    let settings = admin.get("/ops/temporal/api/v1/settings").await.ok();
    assert_eq!(settings["DefaultNamespace"], json!("codex"), "{settings}");
}
