//! The list of people, and the members of projects.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{browser::Browser, world::World};

async fn id_of(browser: &Browser<'_>, login: &str) -> String {
    let found = browser.get(&format!("/api/v1/people?q={login}@")).await.ok();
    found["items"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn people_are_listed_page_by_page_and_found_by_text() {
    let world = World::start().await;
    let admin = world.signed_in("admin").await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for _ in 0..10 {
        let page = admin.get(&format!("/api/v1/people?limit=2{cursor}")).await.ok();
        seen.extend(
            page["items"].as_array().unwrap().iter().map(|person| person["email"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let all = ["admin", "outsider", "owner", "project-admin", "reader", "writer"];
    assert_eq!(seen, all.map(|login| format!("{login}@people.example")));
    let found = admin.get("/api/v1/people?q=THE+ADMIN").await.ok();
    assert_eq!(found["items"].as_array().unwrap().len(), 1, "by name: {found}");
    // What is not text for us is text to be found.
    assert_eq!(admin.get("/api/v1/people?q=%25").await.ok()["items"], json!([]));
    for (query, code) in [("limit=0", "limit_invalid"), ("limit=x", "query_invalid"), ("cursor=x", "cursor_invalid")] {
        admin.get(&format!("/api/v1/people?{query}")).await.refused(400, code);
    }
}

#[tokio::test]
async fn the_same_wish_with_a_key_is_done_once() {
    let world = World::start().await;
    let admin = world.signed_in("admin").await;
    let add = |key: &str, email: &str| {
        let request = admin.request(Method::POST, "/api/v1/people").header("idempotency-key", key);
        admin.send(request.json(&json!({"email": email})))
    };
    let (first, second) = tokio::join!(add("k1", "new@people.example"), add("k1", "new@people.example"));
    assert_eq!((first.status, second.status), (201, 201), "{} {}", first.body, second.body);
    assert_eq!(first.body["id"], second.body["id"]);
    add("k1", "other@people.example").await.refused(422, "idempotency_key_reused");
    add("k2", "new@people.example").await.refused(409, "person_exists");
    add("two words", "x@people.example").await.refused(400, "idempotency_key_invalid");
    assert_eq!(world.audited("person.added").await.len(), 1);
    // Somebody else's key is another key.
    let owner = world.signed_in("owner").await;
    let request = owner.request(Method::POST, "/api/v1/people").header("idempotency-key", "k1");
    assert_eq!(owner.send(request.json(&json!({"email": "other@people.example"}))).await.status, 201);
}

#[tokio::test]
async fn bodies_that_do_not_fit_are_refused_with_a_sentence() {
    let world = World::start().await;
    let admin = world.signed_in("admin").await;
    for body in
        [json!({}), json!({"email": "none"}), json!({"email": 7}), json!({"email": "a@b", "rank": 1}), json!([])]
    {
        admin.post("/api/v1/people", body).await.refused(400, "body_invalid");
    }
    let post = || admin.request(Method::POST, "/api/v1/people");
    admin.send(post().header("content-type", "application/json").body("{")).await.refused(400, "body_invalid");
    admin.send(post().body("email=a@b")).await.refused(415, "unsupported_media_type");
    let long = format!("{{\"email\":\"{}\"}}", "a".repeat(70_000));
    admin.send(post().header("content-type", "application/json").body(long)).await.refused(413, "body_too_large");
}

#[tokio::test]
async fn nobody_overwrites_what_they_have_not_seen() {
    let world = World::start().await;
    let admin = world.signed_in("admin").await;
    let path = format!("/api/v1/people/{}", id_of(&admin, "writer").await);
    let seen = admin.get(&path).await;
    let tag = seen.header("etag").to_owned();
    let again = admin.send(admin.request(Method::GET, &path).header("if-none-match", &tag)).await;
    assert_eq!((again.status, again.body), (304, Value::String(String::new())));
    let change = |tag: &str| {
        let request = admin.request(Method::PATCH, &path).header("if-match", tag);
        admin.send(request.json(&json!({"disabled": true})))
    };
    change(&tag).await.ok();
    change(&tag).await.refused(412, "changed_meanwhile");
    let newest = admin.get(&path).await.header("etag").to_owned();
    change(&newest).await.ok();
}

#[tokio::test]
async fn only_owners_make_owners_and_the_last_one_stays() {
    let world = World::start().await;
    let (owner, admin) = (world.signed_in("owner").await, world.signed_in("admin").await);
    let path = |id: &str| format!("/api/v1/people/{id}");
    let (of_owner, of_admin) = (id_of(&admin, "owner").await, id_of(&admin, "admin").await);
    let of_writer = id_of(&admin, "writer").await;
    admin.patch(&path(&of_writer), json!({"role": "admin"})).await.refused(403, "role_missing");
    admin.patch(&path(&of_owner), json!({"disabled": true})).await.refused(403, "role_missing");
    let new = json!({"email": "n@people.example", "role": "owner"});
    admin.post("/api/v1/people", new).await.refused(403, "role_missing");
    owner.patch(&path(&of_owner), json!({"role": "none"})).await.refused(409, "last_owner");
    owner.patch(&path(&of_owner), json!({"disabled": true})).await.refused(409, "last_owner");
    owner.patch(&path(&of_admin), json!({"role": "owner"})).await.ok();
    // Now there are two: when both step down at once, one of them stays.
    let new_owner = world.signed_in("admin").await;
    let (paths, down) = ((path(&of_owner), path(&of_admin)), json!({"role": "none"}));
    let (one, two) = tokio::join!(owner.patch(&paths.0, down.clone()), new_owner.patch(&paths.1, down.clone()));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
}

#[tokio::test]
async fn a_project_has_members() {
    let world = World::start().await;
    let lead = world.signed_in("project-admin").await;
    let members = "/api/v1/projects/demo/members";
    let set = |email: &str, role: &str| lead.post(members, json!({"email": email, "role": role}));
    let outsider = world.signed_in("outsider").await;
    outsider.get("/api/v1/projects/demo").await.refused(404, "project_not_found");
    assert_eq!(outsider.get("/api/v1/projects").await.ok()["items"], json!([]));
    let member = set("Outsider@people.example", "read").await.ok();
    assert_eq!(outsider.get("/api/v1/projects/demo").await.ok()["my_role"], "read");
    set("outsider@people.example", "write").await.ok();
    assert_eq!(outsider.get("/api/v1/projects").await.ok()["items"][0]["my_role"], "write");
    set("stranger@people.example", "read").await.refused(409, "person_not_listed");
    let list = lead.get(members).await.ok();
    assert_eq!(list["items"].as_array().unwrap().len(), 4, "{list}");
    let path = format!("{members}/{}", member["person"].as_str().unwrap());
    assert_eq!(lead.delete(&path).await.status, 204);
    outsider.get("/api/v1/projects/demo").await.refused(404, "project_not_found");
    lead.delete(&path).await.refused(404, "member_not_found");
    assert_eq!(world.audited("member.set").await.len(), 2);
    assert_eq!(world.audited("member.removed").await.len(), 1);
}

#[tokio::test]
async fn a_person_chooses_language_and_look() {
    let world = World::start().await;
    let browser = world.signed_in("reader").await;
    let me = browser.get("/api/v1/me").await.ok();
    assert_eq!((&me["language"], &me["theme"]), (&Value::Null, &json!("system")));
    browser.patch("/api/v1/me", json!({"language": "ru", "theme": "dark"})).await.ok();
    let me = browser.patch("/api/v1/me", json!({"theme": "light"})).await.ok();
    assert_eq!((&me["language"], &me["theme"]), (&json!("ru"), &json!("light")));
    browser.patch("/api/v1/me", json!({"language": null})).await.ok();
    let me = browser.get("/api/v1/me").await.ok();
    assert_eq!((&me["language"], &me["theme"]), (&Value::Null, &json!("light")));
    for wrong in [json!({"language": "de"}), json!({"theme": "pink"}), json!({"role": "owner"})] {
        browser.patch("/api/v1/me", wrong).await.refused(400, "body_invalid");
    }
}
