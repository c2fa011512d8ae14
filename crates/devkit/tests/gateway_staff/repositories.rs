//! Repositories: how they fare, and attaching one. What the worker makes of it: `platform/connecting`.

use domain::ids::ConnectionId;
use serde_json::{Value, json};
use store::{connections, credentials};

use crate::{runs::repositories, world::World};

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
    admin.post(path, wish("ACME/new", TOKEN)).await.refused(409, "attaching_already");
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
    let sealed = credentials::get(&mut conn, stored.credential).await.unwrap().unwrap().sealed;
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
