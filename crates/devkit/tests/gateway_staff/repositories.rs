//! Repositories: how they fare; attaching one, renewing its secret, detaching it. What the worker makes of it: `platform/connecting`.

use domain::{
    connection::CredentialKind,
    ids::{ConnectionId, CredentialId, HookId, RepositoryId},
};
use gateway::hook_secrets;
use serde_json::{Value, json};
use store::{
    connections,
    credentials::{self, NewCredential},
    hooks::{self, NewHook},
    repositories::{self, NewRepository},
    runs,
    testing::{refuse_audited, tables_with},
};

use crate::{
    runs::{ended_run, repositories},
    world::World,
};

const TOKEN: &str = "github_pat_hunter2";

fn names(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["full_name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn repositories_are_shown_to_those_who_may_see_their_project() {
    let world = World::start().await;
    repositories(&world).await;
    let (reader, admin) = (world.signed_in("reader").await, world.signed_in("admin").await);
    let seen = reader.get("/api/v1/repositories").await.ok();
    assert_eq!(names(&seen), ["acme/greeter"]);
    assert_eq!((&seen["items"][0]["credential"], &seen["items"][0]["has_hook"]), (&Value::Null, &json!(false)));
    assert_eq!(names(&admin.get("/api/v1/repositories").await.ok()), ["acme/greeter", "acme/vault"]);
    assert_eq!(names(&admin.get("/api/v1/repositories?project=secret").await.ok()), ["acme/vault"]);
    assert!(names(&world.signed_in("outsider").await.get("/api/v1/repositories").await.ok()).is_empty());
    reader.get("/api/v1/repositories?project=secret").await.refused(404, "project_not_found");
}

#[tokio::test]
async fn a_repository_is_attached_with_a_token_that_nobody_sees_again() {
    let world = World::start().await;
    repositories(&world).await;
    let admin = world.signed_in("project-admin").await;
    let path = "/api/v1/projects/demo/repositories";
    let wish = |repository: &str, token: &str| json!({"repository": repository, "token": token});
    for (body, status, code) in [
        (wish("acme", TOKEN), 400, "repository_invalid"),
        (wish("acme/a/b", TOKEN), 400, "repository_invalid"),
        (wish("acme/new", "two words"), 400, "token_invalid"),
        (wish("acme/new", " "), 400, "token_invalid"),
        (wish("acme/vault", TOKEN), 409, "attached_elsewhere"),
        (json!({"repository": "acme/new"}), 400, "body_invalid"),
    ] {
        admin.post(path, body).await.refused(status, code);
    }
    let begun = admin.post(path, wish("acme/new", TOKEN)).await;
    assert_eq!(begun.status, 202, "{}", begun.body);
    admin.post(path, wish("ACME/new", TOKEN)).await.refused(409, "connection_busy");
    let id: ConnectionId = begun.body["connection"].as_str().unwrap().parse().unwrap();
    let shown = admin.get(&format!("/api/v1/connections/{id}")).await.ok();
    assert_eq!(
        (&shown["state"], &shown["full_name"], &shown["rights"]),
        (&json!("waiting"), &json!("acme/new"), &json!([]))
    );
    world.signed_in("reader").await.get(&format!("/api/v1/connections/{id}")).await.refused(403, "role_missing");
    world
        .signed_in("outsider")
        .await
        .get(&format!("/api/v1/connections/{id}"))
        .await
        .refused(404, "connection_not_found");
    let mut conn = world.store().acquire().await.unwrap();
    let stored = connections::get(&mut conn, id).await.unwrap();
    let sealed = credentials::get(&mut conn, stored.credential.unwrap()).await.unwrap().unwrap().sealed;
    assert!(!sealed.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes()));
    let audited = world.audited("repository.attaching").await;
    assert!(audited.len() == 1 && !audited[0].to_string().contains("hunter2"), "{audited:?}");
}

#[tokio::test]
async fn a_gateway_that_can_not_seal_says_so() {
    let world = World::without_sealing().await;
    repositories(&world).await;
    let admin = world.signed_in("project-admin").await;
    let wish = json!({"repository": "acme/new", "token": TOKEN});
    admin.post("/api/v1/projects/demo/repositories", wish).await.refused(503, "sealing_not_configured");
}

/// Gives a repository a credential that nobody can open, and a webhook with a secret of its own.
async fn connected(world: &World, repository: RepositoryId) -> CredentialId {
    let mut tx = world.store().begin().await.unwrap();
    let new =
        NewCredential { kind: CredentialKind::Token, key_id: "k", sealed: b"sealed", login: None, now: world.now() };
    let credential = credentials::insert(&mut tx, new).await.unwrap();
    let known = repositories::get(&mut tx, repository).await.unwrap();
    let with = NewRepository {
        project: known.project,
        forge_repo_id: known.forge_repo_id,
        owner: &known.owner,
        name: &known.name,
        default_branch: "main",
        private: false,
        archived: false,
        credential: Some(credential),
        now: world.now(),
    };
    repositories::upsert_repository(&mut tx, with).await.unwrap();
    let id = HookId::from_uuid(uuid::Uuid::now_v7());
    let secret = hook_secrets::seal(&world.key, id, b"the old secret").unwrap();
    let hook = NewHook {
        id,
        forge_hook_id: 77,
        repository: Some(repository),
        current: Some(&secret),
        previous: None,
        now: world.now(),
    };
    hooks::insert(&mut tx, hook).await.unwrap();
    tx.commit().await.unwrap();
    credential
}

#[tokio::test]
async fn a_new_secret_is_made_here_and_told_to_nobody() {
    let world = World::start().await;
    let (greeter, _) = repositories(&world).await;
    let admin = world.signed_in("project-admin").await;
    let path = format!("/api/v1/repositories/{greeter}/rotate");
    admin.post(&path, json!({})).await.refused(409, "no_credential");
    connected(&world, greeter).await;
    admin.post(&path, json!({"reason": "x".repeat(501)})).await.refused(400, "reason_invalid");
    admin.post(&path, json!({"secret": "mine"})).await.refused(400, "body_invalid");
    let begun = admin.post(&path, json!({"reason": "It stood in a log."})).await;
    assert_eq!(begun.status, 202, "{}", begun.body);
    admin.post(&path, json!({})).await.refused(409, "connection_busy");
    let detach = format!("/api/v1/repositories/{greeter}/detach");
    admin.post(&detach, json!({"reason": "It moves."})).await.refused(409, "connection_busy");

    let mut tx = world.store().begin().await.unwrap();
    let hook = hooks::of_repository(&mut tx, greeter).await.unwrap().remove(0);
    let open = |sealed: Option<Vec<u8>>| {
        String::from_utf8(hook_secrets::open(&world.key, hook.id, &sealed.unwrap()).unwrap()).unwrap()
    };
    let (new, old) = (open(hook.current), open(hook.previous));
    assert_eq!((new.len(), old.as_str()), (64, "the old secret"));
    let shown = admin.get("/api/v1/repositories").await.ok();
    assert_eq!(shown["items"][0]["secret_pending"], json!(true));
    let connection = begun.body["connection"].as_str().unwrap();
    let read = admin.get(&format!("/api/v1/connections/{connection}")).await.ok();
    assert_eq!((&read["purpose"], &read["state"]), (&json!("rotate"), &json!("waiting")));
    let audited = world.audited("repository.rotating").await;
    assert_eq!((audited.len(), &audited[0]["reason"]), (1, &json!("It stood in a log.")));
    let seen = admin.get("/api/v1/audit?kind=repository.rotating").await.ok();
    assert_eq!(seen["items"].as_array().unwrap().len(), 1, "the project's people see it, too: {seen}");
    for text in [&shown, &read, &begun.body, &audited[0]] {
        assert!(!text.to_string().contains(&new) && !text.to_string().contains(&old), "{text}");
    }
}

#[tokio::test]
async fn a_detached_repository_starts_nothing_from_the_moment_of_asking() {
    let world = World::start().await;
    let run = ended_run(&world).await;
    let mut conn = world.store().acquire().await.unwrap();
    let greeter = runs::get(&mut conn, run).await.unwrap().repository_id;
    connected(&world, greeter).await;
    let (admin, writer) = (world.signed_in("project-admin").await, world.signed_in("writer").await);
    let path = format!("/api/v1/repositories/{greeter}/detach");
    admin.post(&path, json!({"reason": "  "})).await.refused(400, "reason_missing");
    admin.post(&path, json!({"reason": "x", "running": "sometimes"})).await.refused(400, "body_invalid");
    assert_eq!(repositories::get(&mut conn, greeter).await.unwrap().detached_at, None);

    let begun = admin.post(&path, json!({"reason": "It moves.", "running": "cancel"})).await;
    assert_eq!(begun.status, 202, "{}", begun.body);
    let id: ConnectionId = begun.body["connection"].as_str().unwrap().parse().unwrap();
    let wish = connections::get(&mut conn, id).await.unwrap().wish;
    assert_eq!((wish.cancel_runs, wish.reason.as_deref()), (true, Some("It moves.")));
    assert_eq!(wish.by.map(|(login, _)| login).as_deref(), Some("project-admin"));
    let shown = admin.get("/api/v1/repositories").await.ok();
    assert!(shown["items"][0]["detached_at"].is_string(), "{shown}");
    let start = json!({"repository": "acme/greeter", "number": 7, "agent": "dev"});
    writer.post("/api/v1/runs", start).await.refused(404, "repository_not_found");
    let retry = format!("/api/v1/runs/{run}/retry");
    writer.post(&retry, json!({"from": "start"})).await.refused(409, "repository_unknown");
    assert_eq!(writer.get(&format!("/api/v1/runs/{run}")).await.status, 200, "what was done stays readable");
    admin.post(&format!("/api/v1/repositories/{greeter}/rotate"), json!({})).await.refused(409, "repository_detached");
    assert_eq!(world.audited("repository.detaching").await[0]["running"], json!("cancel"));
    let seen = writer.get("/api/v1/audit?kind=repository.detaching").await.ok();
    assert_eq!(seen["items"].as_array().unwrap().len(), 1, "the project's people see it, too: {seen}");
}

#[tokio::test]
async fn what_is_asked_of_a_connection_again_because_the_answer_was_lost_is_done_once() {
    let world = World::start().await;
    let (greeter, _) = repositories(&world).await;
    connected(&world, greeter).await;
    let admin = world.signed_in("project-admin").await;
    let of_greeter = |what: &str| format!("/api/v1/repositories/{greeter}/{what}");
    let attach = "/api/v1/projects/demo/repositories".to_owned();
    let send = |path: &str, wish: &Value| {
        let request = admin.request(reqwest::Method::POST, path).header("idempotency-key", path);
        admin.send(request.json(wish))
    };
    for (path, wish, other) in [
        (attach, json!({"repository": "acme/new", "token": TOKEN}), json!({"repository": "acme/new", "token": "y"})),
        (of_greeter("check"), Value::Null, Value::Null),
        (of_greeter("rotate"), json!({"reason": "It stood in a log."}), json!({})),
        (of_greeter("detach"), json!({"reason": "It moves."}), json!({"reason": "It goes."})),
    ] {
        let (one, two) = tokio::join!(send(&path, &wish), send(&path, &wish));
        assert_eq!((one.status, two.status), (202, 202), "{path}: {} {}", one.body, two.body);
        assert_eq!(one.body, two.body, "{path}");
        if other != Value::Null {
            send(&path, &other).await.refused(422, "idempotency_key_reused");
        }
        let id: ConnectionId = one.body["connection"].as_str().unwrap().parse().unwrap();
        let mut conn = world.store().acquire().await.unwrap();
        assert!(connections::complete(&mut conn, id, "done", world.now()).await.unwrap(), "{path}");
    }
}

#[tokio::test]
async fn nothing_is_done_to_a_connection_that_can_not_be_written_down() {
    let world = World::start().await;
    let (greeter, _) = repositories(&world).await;
    connected(&world, greeter).await;
    let admin = world.signed_in("project-admin").await;
    let hook =
        async || hooks::of_repository(&mut world.store().begin().await.unwrap(), greeter).await.unwrap().remove(0);
    let before = hook().await;
    let of_greeter = |what: &str| format!("/api/v1/repositories/{greeter}/{what}");
    for (kind, path, wish) in [
        (
            "repository.attaching",
            "/api/v1/projects/demo/repositories".to_owned(),
            json!({"repository": "acme/new", "token": TOKEN}),
        ),
        ("repository.rotating", of_greeter("rotate"), json!({})),
        ("repository.detaching", of_greeter("detach"), json!({"reason": "It moves.", "running": "cancel"})),
    ] {
        refuse_audited(world.store(), kind).await.unwrap();
        admin.post(&path, wish).await.refused(500, "internal");
        let commands = tables_with(world.store(), "ConnectRepository").await.unwrap();
        assert!(commands.is_empty(), "{kind}: {commands:?}");
        let mut conn = world.store().acquire().await.unwrap();
        for name in ["new", "greeter"] {
            assert!(connections::under_way(&mut conn, "acme", name).await.unwrap().is_none(), "{kind}: {name}");
        }
        assert_eq!(repositories::get(&mut conn, greeter).await.unwrap().detached_at, None, "{kind}");
        let after = hook().await;
        assert_eq!((after.current, after.previous), (before.current.clone(), before.previous.clone()), "{kind}");
    }
}
