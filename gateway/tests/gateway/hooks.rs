//! Hooks with secrets of their own.

use chrono::Utc;
use domain::{
    connection::CredentialKind,
    ids::{HookId, RepositoryId},
};
use gateway::hook_secrets::{GatewayKey, seal};
use store::{
    credentials::{self, NewCredential},
    hook_logs,
    hooks::{self, NewHook},
    repositories::{self, NewRepository},
};

use crate::{
    events::labeled,
    world::{SECRET, World, eventually, new_repository, problem, sign},
};

const HOOK: i64 = 77;

async fn register(world: &World, key: &GatewayKey, repository: Option<RepositoryId>) {
    let mut conn = world.store().acquire().await.unwrap();
    let id = HookId::from_uuid(uuid::Uuid::now_v7());
    let new = NewHook { id, forge_hook_id: HOOK, repository, current: None, previous: None, now: Utc::now() };
    // Secrets are bound to the id of the row, which may have been there before.
    let id = hooks::insert(&mut conn, new).await.unwrap();
    let (current, previous) = (seal(key, id, b"new").unwrap(), seal(key, id, b"old").unwrap());
    hooks::set_secrets(&mut conn, id, &current, Some(&previous)).await.unwrap();
}

async fn send(world: &World, hook: Option<&str>, secret: &str, guid: &str) -> reqwest::Response {
    let body = labeled(1, "bug", 0).to_string().into_bytes();
    let signature = sign(secret, &body);
    let mut request = world.unsigned("issues", guid, body).header("x-hub-signature-256", signature);
    if let Some(hook) = hook {
        request = request.header("x-github-hook-id", hook);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn the_hooks_id_chooses_the_secret() {
    let world = World::new().await;
    register(&world, &world.key, None).await;
    let table = [
        (Some("77"), "new", 202),
        (Some("77"), "old", 202),
        (Some("77"), SECRET, 401),
        (Some("78"), SECRET, 202),
        (Some("78"), "new", 401),
        (Some("no number"), SECRET, 202),
        (None, SECRET, 202),
        (None, "new", 401),
    ];
    for (place, (hook, secret, expected)) in table.into_iter().enumerate() {
        let status = send(&world, hook, secret, &format!("guid-{place}")).await.status().as_u16();
        assert_eq!(status, expected, "{hook:?} {secret}");
    }
}

#[tokio::test]
async fn a_secret_that_does_not_open_is_our_trouble_and_passes() {
    let world = World::new().await;
    register(&world, &GatewayKey::generate(), None).await;
    let refused = send(&world, Some("77"), "new", "guid").await;
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(problem(refused).await, (503, "hook_secret_unreadable".to_owned()));
}

#[tokio::test]
async fn a_hook_speaks_for_its_own_repository_only() {
    let world = World::new().await;
    let mut conn = world.store().acquire().await.unwrap();
    let other = repositories::upsert_repository(&mut conn, new_repository(world.project, 5, "other")).await.unwrap();
    register(&world, &world.key, Some(other)).await;
    let body = labeled(1, "run:dev", 0).to_string().into_bytes();
    let signature = sign("new", &body);
    let request = world.unsigned("issues", "guid", body).header("x-hub-signature-256", signature);
    let answer: serde_json::Value =
        request.header("x-github-hook-id", "77").send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["verdict"], "repository_unknown", "{answer}");
    assert_eq!(answer["run"], serde_json::Value::Null);
    assert!(answer["reason"].as_str().unwrap().contains("another repository"), "{answer}");
}

#[tokio::test]
async fn a_hook_without_a_secret_of_its_own_is_signed_with_the_platforms() {
    let world = World::new().await;
    let new = NewHook {
        id: HookId::from_uuid(uuid::Uuid::now_v7()),
        forge_hook_id: HOOK,
        repository: Some(world.repository),
        current: None,
        previous: None,
        now: Utc::now(),
    };
    hooks::insert(&mut world.store().acquire().await.unwrap(), new).await.unwrap();
    assert_eq!(send(&world, Some("77"), SECRET, "one").await.status().as_u16(), 202);
    assert_eq!(send(&world, Some("77"), "new", "two").await.status().as_u16(), 401);
}

#[tokio::test]
async fn what_had_to_be_refused_is_looked_for_in_the_hooks_log() {
    let world = World::new().await;
    let mut conn = world.store().acquire().await.unwrap();
    let new = NewCredential { kind: CredentialKind::Token, key_id: "k", sealed: b"s", login: None, now: Utc::now() };
    let credential = Some(credentials::insert(&mut conn, new).await.unwrap());
    let opened = NewRepository { credential, ..new_repository(world.project, 5, "other") };
    let repository = repositories::upsert_repository(&mut conn, opened).await.unwrap();
    let wanted = async || {
        let mut conn = world.store().acquire().await.unwrap();
        hook_logs::list(&mut conn).await.unwrap()[0].look.wanted_at
    };
    register(&world, &world.key, Some(repository)).await;
    assert_eq!(wanted().await, None);
    let keeping = tokio::spawn(world.state.clone().keep_gaps());
    eventually("a gateway that starts takes it that it has missed something", async || wanted().await.is_some()).await;

    let hook = hook_logs::list(&mut conn).await.unwrap().remove(0).id;
    let whole = hook_logs::Looked::Whole { read_until: None, etag: None };
    hook_logs::looked(&mut conn, hook, Utc::now(), whole).await.unwrap();
    assert_eq!(send(&world, Some("77"), "new", "good").await.status().as_u16(), 202);
    assert_eq!(send(&world, Some("77"), "wrong", "bad").await.status().as_u16(), 401);
    assert_eq!(wanted().await, None, "neither is missing");

    let too_large = vec![b' '; gateway::webhooks::MAX_BODY_BYTES + 1];
    // The gateway may hang up while the body is still being sent.
    let _ = world.webhook("issues", "large", too_large).header("x-github-hook-id", "77").send().await;
    eventually("413 is noted", async || wanted().await.is_some()).await;

    hook_logs::looked(&mut conn, hook, Utc::now(), whole).await.unwrap();
    register(&world, &GatewayKey::generate(), Some(repository)).await;
    assert_eq!(send(&world, Some("77"), "new", "closed").await.status().as_u16(), 503);
    eventually("503 is noted", async || wanted().await.is_some()).await;
    keeping.abort();
}
