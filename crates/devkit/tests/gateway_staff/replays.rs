//! Deliveries once more: what they would do now, and doing it.

use domain::{
    ids::{DeliveryId, RepositoryId},
    triggers::{DeliverySource, VerdictKind},
};
use reqwest::Method;
use serde_json::{Value, json};
use store::{
    commands,
    deliveries::{self, Inserted, NewDelivery},
};

use crate::{runs::repositories, world::World};

/// The webhook of a label on an issue of `acme/greeter`, as GitHub sends it.
pub fn labelled(world: &World, number: i64, label: &str) -> Value {
    let sender = json!({ "id": 7, "login": "ada", "type": "User" });
    let label = json!({ "name": label });
    let issue = json!({
        "id": number, "number": number, "title": "Greet politely", "state": "open", "labels": [label],
        "updated_at": world.now().to_rfc3339(),
    });
    let repository = json!({ "id": 1, "name": "greeter", "full_name": "acme/greeter", "owner": { "login": "acme" } });
    json!({ "action": "labeled", "issue": issue, "label": label, "repository": repository, "sender": sender })
}

/// A delivery that started nothing when it came.
pub async fn kept(
    world: &World,
    repository: Option<RepositoryId>,
    (guid, number): (&str, i64),
    body: Option<&Value>,
) -> DeliveryId {
    let new = NewDelivery {
        hook_key: 1,
        guid,
        event: "issues",
        action: Some("labeled"),
        repository,
        forge_repo_id: Some(1),
        subject_number: Some(number),
        sender_login: Some("ada"),
        sender_id: Some(7),
        verdict: VerdictKind::TwoAgentLabels,
        reason: "labels `run:dev` and `run:docs` ask for two agents at once",
        received_at: world.now(),
        source: DeliverySource::Webhook,
    };
    let bytes = body.map(|body| serde_json::to_vec(body).unwrap());
    let mut conn = world.store().acquire().await.unwrap();
    let Inserted::New(id) = deliveries::insert(&mut conn, new, bytes.as_deref()).await.unwrap() else {
        panic!("it is there already")
    };
    id
}

#[tokio::test]
async fn what_it_would_do_now_is_said_and_not_done() {
    let world = World::start().await;
    let (greeter, _) = repositories(&world).await;
    let body = labelled(&world, 3, "run:dev");
    let id = kept(&world, Some(greeter), ("g-1", 3), Some(&body)).await;
    let reader = world.signed_in("reader").await;
    let decision = reader.get(&format!("/api/v1/deliveries/{id}/decision")).await.ok();
    assert_eq!((&decision["verdict_then"], &decision["verdict"]), (&json!("two_agent_labels"), &json!("started")));
    assert_eq!(
        (&decision["effect"], &decision["agent"], &decision["run"]),
        (&json!("start"), &json!("dev"), &Value::Null)
    );
    assert!(decision["reason"].as_str().unwrap().contains("starts agent `dev` on issue #3"), "{decision}");
    assert!(reader.get("/api/v1/runs").await.ok()["items"].as_array().unwrap().is_empty(), "nothing was started");
    assert_eq!(reader.get("/api/v1/deliveries").await.ok()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_replay_does_it_once() {
    let world = World::start().await;
    let (greeter, _) = repositories(&world).await;
    let body = labelled(&world, 3, "run:dev");
    let id = kept(&world, Some(greeter), ("g-1", 3), Some(&body)).await;
    let (reader, writer) = (world.signed_in("reader").await, world.signed_in("writer").await);
    let path = format!("/api/v1/deliveries/{id}/replay");
    reader.post(&path, json!({"reason": "the labels are right now"})).await.refused(403, "role_missing");
    writer.post(&path, json!({"reason": " "})).await.refused(400, "reason_missing");
    writer.post(&path, json!({})).await.refused(400, "body_invalid");
    let send = || {
        let request = writer.request(Method::POST, &path).header("idempotency-key", "k");
        writer.send(request.json(&json!({"reason": "the labels are right now"})))
    };
    let (one, two) = tokio::join!(send(), send());
    assert_eq!((one.status, two.status), (201, 201), "{} {}", one.body, two.body);
    assert_eq!(one.body, two.body);
    assert_eq!(one.body["verdict"], "started");
    let run = one.body["run"].as_str().unwrap().parse().unwrap();
    let told = commands::list_for_run(&mut world.store().acquire().await.unwrap(), run).await.unwrap();
    assert_eq!((told.len(), told[0].kind), (1, store::CommandKind::Start));
    let listed = reader.get("/api/v1/deliveries").await.ok();
    let replay = &listed["items"][0];
    assert_eq!((&replay["replay_of"], &replay["source"]), (&json!(id), &json!("manual")));
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    let audited = world.audited("delivery.replayed").await;
    assert_eq!((audited.len(), &audited[0]["reason"]), (1, &json!("the labels are right now")));
    // Another time, and the replay itself: the same wish as before.
    for again in [id.to_string(), replay["id"].as_str().unwrap().to_owned()] {
        let answer = writer.post(&format!("/api/v1/deliveries/{again}/replay"), json!({"reason": "once more"})).await;
        assert_eq!((answer.status, &answer.body["verdict"]), (201, &json!("duplicate")), "{}", answer.body);
        assert_eq!(answer.body["run"], one.body["run"]);
    }
    // The first one tells of all of them, the newest first; a replay has none of its own.
    let first = reader.get(&format!("/api/v1/deliveries/{id}")).await.ok();
    let told: Vec<_> =
        first["replays"].as_array().unwrap().iter().map(|told| (&told["verdict"], &told["run"])).collect();
    let (duplicate, started, run) = (&json!("duplicate"), &json!("started"), &one.body["run"]);
    assert_eq!(told, [(duplicate, run), (duplicate, run), (started, run)]);
    assert_eq!(first["replays"][2], *replay, "as it stands in the list");
    let path = format!("/api/v1/deliveries/{}", replay["id"].as_str().unwrap());
    assert_eq!(reader.get(&path).await.ok()["replays"], json!([]));
}

#[tokio::test]
async fn what_became_of_an_event_in_another_project_is_not_told() {
    let world = World::start().await;
    let (greeter, vault) = repositories(&world).await;
    let first = kept(&world, Some(greeter), ("g-1", 3), None).await;
    let mut conn = world.store().acquire().await.unwrap();
    for (guid, repository) in [("replay:1", greeter), ("replay:2", vault)] {
        let replay = kept(&world, Some(repository), (guid, 3), None).await;
        deliveries::set_replay_of(&mut conn, replay, first).await.unwrap();
    }
    let told = async |login: &str| {
        let read = world.signed_in(login).await.get(&format!("/api/v1/deliveries/{first}")).await.ok();
        read["replays"].as_array().unwrap().len()
    };
    assert_eq!((told("reader").await, told("admin").await), (1, 2));
}

#[tokio::test]
async fn one_is_read_by_whoever_may_see_it() {
    let world = World::start().await;
    let (greeter, vault) = repositories(&world).await;
    let seen = kept(&world, Some(greeter), ("g-1", 3), None).await;
    let hidden = kept(&world, Some(vault), ("g-2", 1), None).await;
    let unconnected = kept(&world, None, ("g-3", 1), None).await;
    let (reader, admin) = (world.signed_in("reader").await, world.signed_in("admin").await);
    let read = reader.get(&format!("/api/v1/deliveries/{seen}")).await.ok();
    assert_eq!(read["delivery"], reader.get("/api/v1/deliveries").await.ok()["items"][0], "as it stands in the list");
    assert_eq!(
        (&read["my_role"], &read["project"], &read["repository"]),
        (&json!("read"), &json!("demo"), &json!("acme/greeter"))
    );
    let mut answers = Vec::new();
    for unseen in [hidden, unconnected, DeliveryId::from_uuid(uuid::Uuid::now_v7())] {
        let mut answer = reader.get(&format!("/api/v1/deliveries/{unseen}")).await;
        answer.refused(404, "delivery_not_found");
        answer.body["request_id"] = Value::Null;
        answers.push(answer.body);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "forbidden and unknown look the same");
    reader.get("/api/v1/deliveries/not-an-id").await.refused(404, "not_found");
    let read = admin.get(&format!("/api/v1/deliveries/{unconnected}")).await.ok();
    assert_eq!(
        (&read["my_role"], &read["project"], &read["repository"]),
        (&json!("admin"), &Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn what_can_not_be_replayed_says_why() {
    let world = World::start().await;
    let (greeter, vault) = repositories(&world).await;
    let bodiless = kept(&world, Some(greeter), ("g-1", 3), None).await;
    let hidden = kept(&world, Some(vault), ("g-2", 1), None).await;
    let unconnected = kept(&world, None, ("g-3", 1), Some(&json!({"zen": "x"}))).await;
    let (writer, admin) = (world.signed_in("writer").await, world.signed_in("admin").await);
    let reason = || json!({"reason": "try"});
    writer.post(&format!("/api/v1/deliveries/{bodiless}/replay"), reason()).await.refused(409, "body_gone");
    writer.get(&format!("/api/v1/deliveries/{bodiless}/decision")).await.refused(409, "body_gone");
    for unseen in [hidden, unconnected, DeliveryId::from_uuid(uuid::Uuid::now_v7())] {
        writer.post(&format!("/api/v1/deliveries/{unseen}/replay"), reason()).await.refused(404, "delivery_not_found");
        writer.get(&format!("/api/v1/deliveries/{unseen}/decision")).await.refused(404, "delivery_not_found");
    }
    let decision = admin.get(&format!("/api/v1/deliveries/{unconnected}/decision")).await.ok();
    assert_eq!((&decision["verdict"], &decision["effect"]), (&json!("ignored"), &json!("none")));
}
