//! Tokens for scripts.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    browser::{Answer, Browser},
    world::World,
};

async fn made(browser: &Browser<'_>, scopes: Value) -> (String, String) {
    let made = browser.post("/api/v1/me/tokens", json!({"name": "nightly", "scopes": scopes, "days": 30})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.header("cache-control"), "no-store");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&made.body["secret"]), text(&made.body["token"]["id"]))
}

async fn with(world: &World, token: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
    let script = world.browser();
    let request = script.bare(method, path).bearer_auth(token);
    script.send(if let Some(body) = body { request.json(&body) } else { request }).await
}

#[tokio::test]
async fn a_token_does_what_its_scopes_and_its_person_may() {
    let world = World::start().await;
    let admin = world.signed_in("admin").await;
    let (reading, _) = made(&admin, json!(["read"])).await;
    let (writing, _) = made(&admin, json!(["read", "write"])).await;
    let (everything, _) = made(&admin, json!(["admin"])).await;
    let me = with(&world, &reading, Method::GET, "/api/v1/me", None).await.ok();
    assert_eq!(me["signed_in_with"]["scopes"], json!(["read"]));
    let dark = || Some(json!({"theme": "dark"}));
    with(&world, &reading, Method::PATCH, "/api/v1/me", dark()).await.refused(403, "scope_missing");
    with(&world, &writing, Method::PATCH, "/api/v1/me", dark()).await.ok();
    let new = || Some(json!({"email": "new@people.example"}));
    with(&world, &writing, Method::POST, "/api/v1/people", new()).await.refused(403, "scope_missing");
    assert_eq!(with(&world, &everything, Method::POST, "/api/v1/people", new()).await.status, 201);
    // A token makes no tokens and ends no sign-ins, whatever its scopes.
    let another = Some(json!({"name": "x", "scopes": ["admin"], "days": 1}));
    with(&world, &everything, Method::POST, "/api/v1/me/tokens", another).await.refused(403, "session_needed");
    // Nor does it do more than its person.
    let (of_reader, _) = made(&world.signed_in("reader").await, json!(["admin"])).await;
    with(&world, &of_reader, Method::GET, "/api/v1/people", None).await.refused(403, "role_missing");
}

#[tokio::test]
async fn a_token_is_shown_once_and_can_be_taken_back() {
    let world = World::start().await;
    let (browser, other) = (world.signed_in("writer").await, world.signed_in("reader").await);
    let (token, id) = made(&browser, json!(["read"])).await;
    with(&world, &token, Method::GET, "/api/v1/me", None).await.ok();
    let list = browser.get("/api/v1/me/tokens").await.ok();
    assert_eq!((&list["items"][0]["name"], &list["items"][0]["revoked_at"]), (&json!("nightly"), &Value::Null));
    assert!(list["items"][0]["last_used_at"].is_string());
    assert!(!list.to_string().contains(&token));
    other.delete(&format!("/api/v1/me/tokens/{id}")).await.refused(404, "token_not_found");
    assert_eq!(browser.delete(&format!("/api/v1/me/tokens/{id}")).await.status, 204);
    with(&world, &token, Method::GET, "/api/v1/me", None).await.refused(401, "api_token_unknown");
    assert_eq!(world.audited("api_token.created").await.len(), 1);
    assert!(!json!(world.audited("api_token.created").await).to_string().contains(&token));
}

#[tokio::test]
async fn a_token_ends_and_dies_with_its_person() {
    let world = World::start().await;
    let (admin, browser) = (world.signed_in("admin").await, world.signed_in("writer").await);
    let (token, _) = made(&browser, json!(["read"])).await;
    let id = world.person("writer").await.id;
    admin.patch(&format!("/api/v1/people/{id}"), json!({"disabled": true})).await.ok();
    with(&world, &token, Method::GET, "/api/v1/me", None).await.refused(401, "person_disabled");
    admin.patch(&format!("/api/v1/people/{id}"), json!({"disabled": false})).await.ok();
    with(&world, &token, Method::GET, "/api/v1/me", None).await.ok();
    world.pass(TimeDelta::days(30));
    with(&world, &token, Method::GET, "/api/v1/me", None).await.refused(401, "api_token_unknown");
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let world = World::start().await;
    for wrong in ["", "x", "ck8s_", "ck8s_0123456789012345678901234567890123456789012", "gho_x"] {
        with(&world, wrong, Method::GET, "/api/v1/me", None).await.refused(401, "api_token_unknown");
    }
    let browser = world.signed_in("writer").await;
    let basic = browser.request(Method::GET, "/api/v1/me").basic_auth("x", Some("y"));
    browser.send(basic).await.refused(401, "api_token_unknown");
}

#[tokio::test]
async fn a_token_that_is_asked_for_badly_is_not_made() {
    let world = World::start().await;
    let browser = world.signed_in("writer").await;
    for (body, code) in [
        (json!({"name": " ", "scopes": ["read"], "days": 1}), "name_invalid"),
        (json!({"name": "x".repeat(101), "scopes": ["read"], "days": 1}), "name_invalid"),
        (json!({"name": "x", "scopes": [], "days": 1}), "scopes_missing"),
        (json!({"name": "x", "scopes": ["read"], "days": 0}), "days_invalid"),
        (json!({"name": "x", "scopes": ["read"], "days": 367}), "days_invalid"),
        (json!({"name": "x", "scopes": ["root"], "days": 1}), "body_invalid"),
        (json!({"name": "x", "scopes": ["read"]}), "body_invalid"),
        (json!({"name": "x", "scopes": ["read"], "days": 1, "more": 1}), "body_invalid"),
    ] {
        browser.post("/api/v1/me/tokens", body.clone()).await.refused(400, code);
    }
    assert_eq!(browser.get("/api/v1/me/tokens").await.ok()["items"], json!([]));
}
