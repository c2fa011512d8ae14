//! What happened, as staff read and export it.

use chrono::TimeDelta;
use serde_json::{Value, json};
use store::audit::{self, NewFlowEvent};

use crate::{runs::repositories, world::World};

fn kinds(page: &Value) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|item| item["kind"].as_str().unwrap().to_owned()).collect()
}

/// Three events in a repository of the demo's project, one in one that only admins see, one of the platform.
async fn happened(world: &World) {
    let (greeter, vault) = repositories(world).await;
    let mut conn = world.store().acquire().await.unwrap();
    for (index, (repository, actor, kind)) in [
        (Some(greeter), "ada", "t.one"),
        (Some(vault), "ada", "t.hidden"),
        (Some(greeter), "bob", "t.two"),
        (None, "gateway", "t.platform"),
        (Some(greeter), "ada", "t.three"),
    ]
    .into_iter()
    .enumerate()
    {
        let at = world.now() + TimeDelta::seconds(i64::try_from(index).unwrap());
        let detail = json!({"index": index});
        let event = NewFlowEvent { repository, ..NewFlowEvent::new(at, actor, kind, detail) };
        audit::append(&mut conn, event).await.unwrap();
    }
}

#[tokio::test]
async fn events_are_listed_by_what_matters_to_those_who_may_see_them() {
    let world = World::start().await;
    happened(&world).await;
    let (reader, admin) = (world.signed_in("reader").await, world.signed_in("admin").await);
    assert_eq!(kinds(&reader.get("/api/v1/audit").await.ok()), ["t.three", "t.two", "t.one"]);
    assert_eq!(
        kinds(&admin.get("/api/v1/audit?kind=t").await.ok()),
        ["t.three", "t.platform", "t.two", "t.hidden", "t.one"]
    );
    assert!(kinds(&world.signed_in("outsider").await.get("/api/v1/audit?kind=t").await.ok()).is_empty());
    let since = (world.now() + TimeDelta::seconds(2)).to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    for (query, expected) in [
        ("actor=ADA".to_owned(), vec!["t.three", "t.one"]),
        ("kind=t.two".to_owned(), vec!["t.two"]),
        ("kind=t.tw".to_owned(), vec![]),
        ("project=demo&limit=1".to_owned(), vec!["t.three"]),
        (format!("since={since}"), vec!["t.three", "t.two"]),
        (format!("until={since}"), vec!["t.one"]),
    ] {
        assert_eq!(kinds(&reader.get(&format!("/api/v1/audit?{query}")).await.ok()), expected, "{query}");
    }
    let first = reader.get("/api/v1/audit?limit=2").await.ok();
    let next = first["next"].as_str().unwrap();
    assert_eq!(kinds(&reader.get(&format!("/api/v1/audit?limit=2&cursor={next}")).await.ok()), ["t.one"]);
    reader.get("/api/v1/audit?project=secret").await.refused(404, "project_not_found");
}

#[tokio::test]
async fn members_see_what_was_done_to_their_project_and_by_whom() {
    let world = World::start().await;
    let (admin, owner) = (world.signed_in("project-admin").await, world.signed_in("admin").await);
    owner.post("/api/v1/projects", json!({"slug": "elsewhere"})).await;
    let member = json!({"email": "outsider@people.example", "role": "read"});
    owner.post("/api/v1/projects/elsewhere/members", member).await.ok();
    admin.patch("/api/v1/projects/demo", json!({"slots": 5, "reason": "more work"})).await.ok();
    let begun = admin.post("/api/v1/pauses", json!({"project": "demo", "reason": "a break"})).await.body;
    let over = format!("/api/v1/pauses/{}/end", begun["pause"]["id"].as_str().unwrap());
    admin.post(&over, json!({})).await.ok();
    owner.post("/api/v1/pauses", json!({"agent": "planner", "reason": "everywhere"})).await;

    let reader = world.signed_in("reader").await;
    let shown = reader.get("/api/v1/audit").await.ok();
    assert_eq!(kinds(&shown), ["pause.ended", "pause.begun", "project.changed"]);
    let changed = &shown["items"][2];
    assert_eq!((&changed["actor"], &changed["project"]), (&json!("project-admin"), &json!("demo")));
    assert_eq!((&changed["detail"]["slots"], &changed["detail"]["reason"]), (&json!(5), &json!("more work")));
    let elsewhere = world.signed_in("outsider").await.get("/api/v1/audit").await.ok();
    assert_eq!(kinds(&elsewhere), ["member.set", "project.made"]);
    let of_demo = owner.get("/api/v1/audit?project=demo&actor=project-admin").await.ok();
    assert_eq!(kinds(&of_demo), ["pause.ended", "pause.begun", "project.changed"]);
    assert_eq!(kinds(&owner.get("/api/v1/audit?project=elsewhere").await.ok()), ["member.set", "project.made"]);
    let exported = admin.get("/api/v1/projects/demo/export").await;
    let lines: Vec<Value> =
        exported.body.as_str().unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<&str> =
        lines.iter().filter(|line| line["kind"] == "audit").map(|line| line["what"].as_str().unwrap()).collect();
    assert!(told.ends_with(&["pause.ended", "pause.begun", "project.changed"]), "{told:?}");
}

#[tokio::test]
async fn an_export_has_one_event_a_line_to_the_last() {
    let world = World::start().await;
    happened(&world).await;
    {
        let mut tx = world.store().begin().await.unwrap();
        for _ in 0..1_200 {
            let detail = json!({"text": "one\nline"});
            let event = NewFlowEvent::new(world.now(), "gateway", "t.many", detail);
            audit::append(&mut tx, event).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    let (reader, admin) = (world.signed_in("reader").await, world.signed_in("admin").await);
    let lines = |body: &Value| -> Vec<Value> {
        body.as_str().unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let answer = admin.get("/api/v1/audit/export?kind=t").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-ndjson"));
    let all = lines(&answer.body);
    assert_eq!(all.len(), 1_205);
    assert_eq!(all.iter().filter(|event| event["kind"] == "t.many").count(), 1_200);
    let seen = lines(&reader.get("/api/v1/audit/export?kind=t&actor=ada").await.body);
    assert_eq!((seen.len(), &seen[0]["kind"], &seen[0]["detail"]["index"]), (2, &json!("t.three"), &json!(4)));
    world.browser().get("/api/v1/audit/export").await.refused(401, "signed_out");
}
