//! Issues and labels.

use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{REPOSITORY, World};

const ISSUES: &str = "/repos/acme/greeter/issues";

#[tokio::test]
async fn an_issue_is_opened_changed_closed_and_opened_again() {
    let world = World::start().await;
    let writer = world.person("writer");
    let opened = writer.post(ISSUES, json!({"title": "Say goodbye", "body": "Please.", "labels": ["bug"]})).await;
    let opened = opened.created();
    assert_eq!((&opened["number"], &opened["state"]), (&json!(2), &json!("open")));
    assert_eq!(opened["labels"][0]["name"], "bug");
    assert_eq!(opened["html_url"], format!("{}/acme/greeter/issues/2", world.stand_in.url()));
    let path = format!("{ISSUES}/2");
    let edited = writer.patch(&path, json!({"title": "Say farewell", "body": null})).await.ok();
    assert_eq!((&edited["title"], &edited["body"]), (&json!("Say farewell"), &Value::Null));
    let closed = writer.patch(&path, json!({"state": "closed", "state_reason": "not_planned"})).await.ok();
    assert_eq!((&closed["state_reason"], &closed["closed_by"]["login"]), (&json!("not_planned"), &json!("writer")));
    let again = writer.patch(&path, json!({"state": "open"})).await.ok();
    assert_eq!((&again["closed_at"], &again["state_reason"]), (&Value::Null, &json!("reopened")));
}

#[tokio::test]
async fn labels_of_those_who_may_not_label_are_dropped() {
    let world = World::start().await;
    let opened = world.person("outsider").post(ISSUES, json!({"title": "Hi", "labels": ["run:dev"]})).await;
    let opened = opened.created();
    assert_eq!(opened["labels"], json!([]));
    let path = format!("{ISSUES}/{}", opened["number"]);
    let outsider = world.person("outsider");
    outsider.patch(&path, json!({"title": "Hello", "labels": ["run:dev"]})).await.ok();
    assert!(world.stand_in.labels(REPOSITORY, 2).unwrap().is_empty());
    outsider.patch(&format!("{ISSUES}/1"), json!({"state": "closed"})).await.expect(StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let world = World::start().await;
    let writer = world.person("writer");
    let blank = writer.post(ISSUES, json!({"title": " "})).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(blank["message"], "Validation Failed");
    assert_eq!(blank["errors"][0], json!({"resource": "Issue", "field": "title", "code": "missing_field"}));
    let broken = writer.request(http::Method::POST, ISSUES).body("{");
    let broken = crate::world::answer(broken).await.expect(StatusCode::BAD_REQUEST);
    assert_eq!(broken["message"], "Problems parsing JSON");
    writer.post(ISSUES, json!({"title": 1})).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    writer.get(&format!("{ISSUES}/99")).await.expect(StatusCode::NOT_FOUND);
    let closing = writer.patch(&format!("{ISSUES}/1"), json!({"state": "gone"})).await;
    closing.expect(StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn labels_are_put_on_set_and_taken_off() {
    let world = World::start().await;
    let writer = world.person("writer");
    let path = format!("{ISSUES}/1/labels");
    let names = |value: Value| -> Vec<String> {
        let list = value.as_array().unwrap();
        list.iter().map(|label| label["name"].as_str().unwrap().to_owned()).collect()
    };
    let added = writer.post(&path, json!({"labels": ["BUG", "codex:queued", "BUG"]})).await.ok();
    assert_eq!(names(added), ["bug", "codex:queued"]);
    assert_eq!(names(writer.post(&path, json!(["area/cli"])).await.ok()).len(), 3);
    let set = writer.put(&path, json!({"labels": ["codex:working", "bug"]})).await.ok();
    assert_eq!(names(set), ["bug", "codex:working"]);
    assert_eq!(names(writer.delete(&format!("{path}/codex:working")).await.ok()), ["bug"]);
    writer.delete(&format!("{path}/codex:working")).await.expect(StatusCode::NOT_FOUND);
    assert_eq!(writer.get("/repos/acme/greeter/labels/area%2Fcli").await.ok()["name"], "area/cli");
    let twice = writer.post("/repos/acme/greeter/labels", json!({"name": "Bug", "color": "ffffff"})).await;
    assert_eq!(twice.expect(StatusCode::UNPROCESSABLE_ENTITY)["errors"][0]["code"], "already_exists");
    writer.delete(&path).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(writer.get(&path).await.ok(), json!([]));
}

#[tokio::test]
async fn lists_are_filtered_and_come_in_pages() {
    let world = World::start().await;
    for number in 0..5 {
        world.stand_in.create_issue("writer", REPOSITORY, &format!("Issue {number}"), "").unwrap();
    }
    world.stand_in.label_issue("writer", REPOSITORY, 3, "bug").unwrap();
    world.stand_in.close_issue("writer", REPOSITORY, 4).unwrap();
    let writer = world.person("writer");
    let numbers = |value: &Value| -> Vec<u64> {
        value.as_array().unwrap().iter().map(|issue| issue["number"].as_u64().unwrap()).collect()
    };
    assert_eq!(numbers(&writer.get(ISSUES).await.ok()), [6, 5, 3, 2, 1]);
    assert_eq!(numbers(&writer.get(&format!("{ISSUES}?labels=bug")).await.ok()), [3]);
    assert_eq!(numbers(&writer.get(&format!("{ISSUES}?state=closed")).await.ok()), [4]);
    let second = writer.get(&format!("{ISSUES}?state=all&per_page=2&page=2&direction=asc")).await;
    assert_eq!(numbers(&second.body), [3, 4]);
    let base = format!("{}{ISSUES}?state=all&per_page=2&direction=asc", world.stand_in.url());
    assert_eq!(second.link("next").unwrap(), format!("{base}&page=3"));
    assert_eq!(second.link("first").unwrap(), format!("{base}&page=1"));
    let last = writer.get(&format!("{ISSUES}?state=all&per_page=2&page=3")).await;
    assert_eq!((last.link("next"), last.link("last")), (None, None));
}

#[tokio::test]
async fn the_prefix_of_enterprise_servers_is_understood() {
    let world = World::start().await;
    assert_eq!(world.person("writer").get("/api/v3/repos/acme/greeter/issues/1").await.ok()["number"], 1);
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let world = World::start().await;
    let writer = world.person("writer");
    let first = writer.get(&format!("{ISSUES}/1")).await;
    let again = |tag: &http::HeaderValue| {
        writer.request(http::Method::GET, &format!("{ISSUES}/1")).header("if-none-match", tag)
    };
    let tag = first.headers.get("etag").unwrap().clone();
    let same = crate::world::answer(again(&tag)).await;
    assert_eq!(same.status, 304);
    assert_eq!(same.headers["x-ratelimit-remaining"], first.headers["x-ratelimit-remaining"]);
    world.stand_in.comment("writer", REPOSITORY, 1, "news").unwrap();
    assert_eq!(crate::world::answer(again(&tag)).await.ok()["comments"], 1);
}
