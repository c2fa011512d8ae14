//! What needs attention.

use chrono::TimeDelta;
use domain::{
    connection::CredentialKind,
    event::{Subject, SubjectKind},
    ids::{Attempt, HookId},
    people::Scope,
    run::Outcome,
};
use serde_json::{Value, json};
use store::{
    api_tokens::{self, NewApiToken},
    credentials::{self, Learnt, NewCredential},
    hook_logs::{self, Looked},
    hooks::{self, NewHook},
    repositories::{self, NewRepository},
    slots,
    storms::{self, HeldBack},
};

use crate::{
    replays::kept,
    runs::{finish, repositories, run},
    world::World,
};

async fn attention(world: &World, login: &str) -> Value {
    world.signed_in(login).await.get("/api/v1/attention").await.ok()
}

fn list<'a>(attention: &'a Value, name: &str) -> &'a Vec<Value> {
    attention[name].as_array().unwrap()
}

#[tokio::test]
async fn a_run_that_failed_is_shown_until_something_follows_it() {
    let world = World::start().await;
    let (greeter, vault) = repositories(&world).await;
    let failed = run(&world, greeter, 1, world.now()).await;
    let fine = run(&world, greeter, 2, world.now()).await;
    let hidden = run(&world, vault, 1, world.now()).await;
    let long_ago = run(&world, greeter, 3, world.now()).await;
    finish(&world, long_ago, Outcome::Lost).await;
    world.pass(TimeDelta::days(8));
    finish(&world, failed, Outcome::ChecksFailed).await;
    finish(&world, fine, Outcome::PullRequestOpen).await;
    finish(&world, hidden, Outcome::Lost).await;
    let seen = attention(&world, "reader").await;
    let shown = list(&seen, "failed");
    assert_eq!(shown.len(), 1, "{seen}");
    assert_eq!((&shown[0]["run"], &shown[0]["outcome"]), (&json!(failed), &json!("checks_failed")));
    assert_eq!((&shown[0]["repository"], &shown[0]["number"]), (&json!("acme/greeter"), &json!(1)));
    assert_eq!(list(&attention(&world, "admin").await, "failed").len(), 2);
    assert!(list(&attention(&world, "outsider").await, "failed").is_empty());
    // Begun again, it no longer needs anybody.
    let writer = world.signed_in("writer").await;
    let retry = writer.post(&format!("/api/v1/runs/{failed}/retry"), json!({"from": "start"})).await;
    assert_eq!(retry.status, 202, "{}", retry.body);
    assert!(list(&attention(&world, "reader").await, "failed").is_empty());
}

#[tokio::test]
async fn what_waits_says_for_what() {
    let world = World::start().await;
    let (greeter, _) = repositories(&world).await;
    let mut waiting = Vec::new();
    for number in 1..=4 {
        let id = run(&world, greeter, number, world.now()).await;
        let mut tx = world.store().begin().await.unwrap();
        let project = repositories::get(&mut tx, greeter).await.unwrap().project;
        slots::claim(&mut tx, id, Attempt::FIRST, project, world.now()).await.unwrap();
        tx.commit().await.unwrap();
        waiting.push(id);
    }
    // The project has three slots.
    let seen = attention(&world, "reader").await;
    let shown = list(&seen, "waiting");
    assert_eq!(shown.len(), 1, "{seen}");
    assert_eq!((&shown[0]["run"], &shown[0]["place"]), (&json!(waiting[3]), &json!(1)));
    // Nobody listens where the engine should be, so the commands of a retry wait.
    finish(&world, waiting[0], Outcome::Failed).await;
    let writer = world.signed_in("writer").await;
    assert_eq!(writer.post(&format!("/api/v1/runs/{}/retry", waiting[0]), json!({"from": "start"})).await.status, 202);
    assert!(list(&attention(&world, "reader").await, "stuck").is_empty());
    world.pass(TimeDelta::minutes(2));
    let seen = attention(&world, "reader").await;
    assert_eq!((list(&seen, "stuck").len(), &seen["stuck"][0]["run"]), (1, &json!(waiting[0])), "{seen}");
}

#[tokio::test]
async fn what_was_held_back_or_ends_soon_is_shown() {
    let world = World::start().await;
    let (greeter, _) = repositories(&world).await;
    let now = world.now();
    let held = kept(&world, Some(greeter), ("g-1", 3), None).await;
    kept(&world, Some(greeter), ("g-2", 4), None).await;
    let mut tx = world.store().begin().await.unwrap();
    let subject = Subject { kind: SubjectKind::PullRequest, number: 9 };
    let storm = HeldBack { repository: greeter, subject, reason: "too many", delivery: held, at: now };
    storms::note(&mut tx, storm).await.unwrap();
    let sealed =
        NewCredential { kind: CredentialKind::Token, key_id: "k", sealed: b"sealed", login: Some("robot"), now };
    let credential = credentials::insert(&mut tx, sealed).await.unwrap();
    let learnt = Learnt { login: None, expires_at: Some(now + TimeDelta::days(3)) };
    credentials::learn(&mut tx, credential, learnt).await.unwrap();
    let seen = repositories::get(&mut tx, greeter).await.unwrap();
    let with_credential = NewRepository {
        project: seen.project,
        forge_repo_id: seen.forge_repo_id,
        owner: &seen.owner,
        name: &seen.name,
        default_branch: &seen.default_branch,
        private: false,
        archived: false,
        credential: Some(credential),
        now,
    };
    repositories::upsert_repository(&mut tx, with_credential).await.unwrap();
    let id = HookId::from_uuid(uuid::Uuid::now_v7());
    let hook = NewHook { id, forge_hook_id: 77, repository: Some(greeter), current: None, previous: None, now };
    hooks::insert(&mut tx, hook).await.unwrap();
    hook_logs::looked(&mut tx, id, now, Looked::Impossible { problem: "no right to read webhooks" }).await.unwrap();
    let person = world.person("reader").await.id;
    for (name, days) in [("soon", 5), ("later", 60)] {
        let token = NewApiToken {
            person,
            name,
            hash: name.as_bytes(),
            scopes: &[Scope::Read],
            now,
            expires_at: now + TimeDelta::days(days),
        };
        api_tokens::insert(&mut tx, token).await.unwrap();
    }
    tx.commit().await.unwrap();
    let seen = attention(&world, "reader").await;
    assert_eq!(list(&seen, "deliveries").len(), 2);
    // Somebody has chosen one of the two agents.
    run(&world, greeter, 4, world.now() + TimeDelta::seconds(1)).await;
    let seen = attention(&world, "reader").await;
    assert_eq!((list(&seen, "deliveries").len(), &seen["deliveries"][0]["delivery"]), (1, &json!(held)));
    assert_eq!((list(&seen, "storms").len(), &seen["storms"][0]["number"]), (1, &json!(9)));
    assert_eq!((list(&seen, "hooks").len(), &seen["hooks"][0]["repository"]), (1, &json!("acme/greeter")));
    assert_eq!((list(&seen, "credentials").len(), &seen["credentials"][0]["login"]), (1, &json!("robot")));
    assert_eq!((list(&seen, "tokens").len(), &seen["tokens"][0]["name"]), (1, &json!("soon")));
    let others = attention(&world, "outsider").await;
    for name in ["deliveries", "storms", "hooks", "credentials", "tokens", "failed", "waiting", "stuck"] {
        assert!(list(&others, name).is_empty(), "{name}: {others}");
    }
    world.pass(TimeDelta::days(2));
    let seen = attention(&world, "reader").await;
    assert!(list(&seen, "deliveries").is_empty() && list(&seen, "storms").is_empty(), "{seen}");
}

#[tokio::test]
async fn more_slots_let_those_go_on_that_wait() {
    let world = World::start().await;
    let (greeter, _) = repositories(&world).await;
    let mut ids = Vec::new();
    for number in 1..=4 {
        let id = run(&world, greeter, number, world.now()).await;
        let mut tx = world.store().begin().await.unwrap();
        let project = repositories::get(&mut tx, greeter).await.unwrap().project;
        slots::claim(&mut tx, id, Attempt::FIRST, project, world.now()).await.unwrap();
        tx.commit().await.unwrap();
        ids.push(id);
    }
    let admin = world.signed_in("project-admin").await;
    let tag = admin.get("/api/v1/projects/demo").await.header("etag").to_owned();
    admin.patch("/api/v1/projects/demo", json!({"slots": 1001})).await.refused(400, "slots_invalid");
    admin.patch("/api/v1/projects/demo", json!({"slots": -1})).await.refused(400, "body_invalid");
    let changed = admin.patch("/api/v1/projects/demo", json!({"slots": 4, "reason": "more work"})).await.ok();
    assert_eq!(changed["slots"], 4);
    assert!(list(&attention(&world, "reader").await, "waiting").is_empty());
    let told = store::commands::list_for_run(&mut world.store().acquire().await.unwrap(), ids[3]).await.unwrap();
    assert!(told.iter().any(|command| command.name.as_deref() == Some("slot_granted")), "{told:?}");
    // Who saw three slots does not overwrite what they have not seen.
    let stale = admin.request(reqwest::Method::PATCH, "/api/v1/projects/demo").header("if-match", tag);
    admin.send(stale.json(&json!({"slots": 2}))).await.refused(412, "changed_meanwhile");
    assert_eq!(world.audited("project.changed").await[0]["slots_before"], 3);
}
