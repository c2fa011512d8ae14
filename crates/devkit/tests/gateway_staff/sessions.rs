//! What keeps people signed in, and what ends it.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn a_refresh_token_is_good_once() {
    let world = World::start().await;
    let browser = world.signed_in("writer").await;
    let [access, refresh] = ["access", "refresh"].map(|word| browser.cookie(word).unwrap());
    world.pass(TimeDelta::minutes(10));
    browser.get("/api/v1/me").await.refused(401, "token_expired");
    let answer = browser.refresh().await.ok();
    assert!(answer["expires_at"].as_str().is_some(), "{answer}");
    assert_ne!(browser.cookie("access").unwrap(), access);
    assert_ne!(browser.cookie("refresh").unwrap(), refresh);
    browser.get("/api/v1/me").await.ok();
}

#[tokio::test]
async fn two_tabs_that_refresh_at_once_stay_signed_in() {
    let world = World::start().await;
    let one = world.signed_in("writer").await;
    let two = one.copied();
    let (first, second) = tokio::join!(one.refresh(), two.refresh());
    first.ok();
    second.ok();
    assert_ne!(one.cookie("refresh"), two.cookie("refresh"));
    // A late one, still within the grace.
    let late = one.copied();
    world.pass(TimeDelta::seconds(19));
    // Whichever of the two the browser kept goes on, and so does its sister for a moment.
    one.refresh().await.ok();
    two.refresh().await.ok();
    late.get("/api/v1/me").await.ok();
    assert!(world.audited("session.reuse_detected").await.is_empty());
}

#[tokio::test]
async fn a_used_refresh_token_ends_the_session_of_everybody_who_has_it() {
    let world = World::start().await;
    let person = world.signed_in("writer").await;
    let thief = person.copied();
    person.refresh().await.ok();
    world.pass(TimeDelta::seconds(21));
    thief.refresh().await.refused(401, "session_over");
    // The person is out, too, and at once: nobody can tell which of them is the thief.
    person.get("/api/v1/me").await.refused(401, "session_over");
    person.refresh().await.refused(401, "session_over");
    assert!(person.cookie("refresh").is_none() && person.cookie("access").is_none());
    assert_eq!(world.audited("session.reuse_detected").await.len(), 1);
    world.signed_in("writer").await.get("/api/v1/me").await.ok();
}

#[tokio::test]
async fn a_sister_that_was_left_lying_is_a_used_one() {
    let world = World::start().await;
    let person = world.signed_in("writer").await;
    let thief = person.copied();
    person.refresh().await.ok();
    thief.refresh().await.ok();
    person.refresh().await.ok();
    world.pass(TimeDelta::seconds(21));
    thief.refresh().await.refused(401, "session_over");
    person.get("/api/v1/me").await.refused(401, "session_over");
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_and_in_any_case() {
    let world = World::start().await;
    let idle = world.signed_in("writer").await;
    world.pass(TimeDelta::days(7));
    idle.refresh().await.refused(401, "session_over");
    let busy = world.signed_in("writer").await;
    for _ in 0..4 {
        world.pass(TimeDelta::days(6));
        busy.refresh().await.ok();
    }
    world.pass(TimeDelta::days(6));
    busy.refresh().await.refused(401, "session_over");
}

#[tokio::test]
async fn signing_out_ends_the_family() {
    let world = World::start().await;
    let browser = world.signed_in("writer").await;
    let copy = browser.copied();
    let answer = browser.send(browser.request(Method::POST, "/auth/logout")).await;
    assert_eq!(answer.status, 204);
    browser.get("/api/v1/me").await.refused(401, "signed_out");
    copy.get("/api/v1/me").await.refused(401, "session_over");
    copy.refresh().await.refused(401, "session_over");
}

#[tokio::test]
async fn whoever_is_locked_out_is_out_at_once() {
    let world = World::start().await;
    let (admin, writer) = (world.signed_in("admin").await, world.signed_in("writer").await);
    let id = world.person("writer").await.id;
    admin.patch(&format!("/api/v1/people/{id}"), json!({"disabled": true, "reason": "left"})).await.ok();
    writer.patch("/api/v1/me", json!({"theme": "dark"})).await.refused(401, "session_over");
    writer.get("/api/v1/me").await.refused(401, "session_over");
    writer.refresh().await.refused(401, "session_over");
    writer.sign_in("writer").await.refused(403, "person_disabled");
    assert_eq!(world.audited("person.changed").await[0]["reason"], "left");
}

#[tokio::test]
async fn a_person_sees_and_ends_their_own_sign_ins() {
    let world = World::start().await;
    let (here, there) = (world.signed_in("writer").await, world.signed_in("writer").await);
    let other = world.signed_in("reader").await;
    let list = here.get("/api/v1/me/sessions").await.ok();
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    let distant = items.iter().find(|item| item["current"] == false).unwrap()["id"].as_str().unwrap();
    other.delete(&format!("/api/v1/me/sessions/{distant}")).await.refused(404, "session_not_found");
    assert_eq!(here.delete(&format!("/api/v1/me/sessions/{distant}")).await.status, 204);
    there.get("/api/v1/me").await.refused(401, "session_over");
    here.get("/api/v1/me").await.ok();
    here.delete(&format!("/api/v1/me/sessions/{distant}")).await.refused(404, "session_not_found");
    here.delete("/api/v1/me/sessions/none").await.refused(404, "not_found");
}

#[tokio::test]
async fn writes_of_other_sites_are_refused() {
    let world = World::start().await;
    let browser = world.signed_in("writer").await;
    for (method, path) in
        [(Method::PATCH, "/api/v1/me"), (Method::POST, "/auth/refresh"), (Method::POST, "/auth/logout")]
    {
        let bare = browser.bare(method.clone(), path).json(&json!({}));
        browser.send(bare).await.refused(403, "origin_forbidden");
        let evil = browser.bare(method, path).header("origin", "https://evil.example").json(&json!({}));
        browser.send(evil).await.refused(403, "origin_forbidden");
    }
    browser.get("/api/v1/me").await.ok();
}
