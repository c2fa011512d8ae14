//! Pauses, and runs that are started by hand.

use domain::run::Outcome;
use reqwest::Method;
use serde_json::{Value, json};
use store::commands;

use crate::{
    replays::{kept, labelled},
    runs::{finish, repositories, run},
    world::World,
};

const NOTHING: &str = "01900000-0000-7000-8000-000000000000";

fn start(number: i64, agent: &str) -> Value {
    json!({"repository": "acme/greeter", "number": number, "agent": agent})
}

#[tokio::test]
async fn while_a_pause_holds_events_are_kept_and_start_nothing() {
    let world = World::start().await;
    let (greeter, _) = repositories(&world).await;
    let admin = world.signed_in("project-admin").await;
    let (reader, writer) = (world.signed_in("reader").await, world.signed_in("writer").await);
    let ended = run(&world, greeter, 8, world.now()).await;
    finish(&world, ended, Outcome::Failed).await;
    let wish = json!({"project": "demo", "reason": "the model is too dear"});
    writer.post("/api/v1/pauses", wish.clone()).await.refused(403, "role_missing");
    admin.post("/api/v1/pauses", json!({"reason": "x"})).await.refused(403, "role_missing");
    let begun = admin.post("/api/v1/pauses", wish.clone()).await;
    assert_eq!((begun.status, &begun.body["cancelling"]), (201, &json!(0)), "{}", begun.body);
    admin.post("/api/v1/pauses", wish).await.refused(409, "paused_already");
    let shown = reader.get("/api/v1/pauses").await.ok();
    assert_eq!((&shown["items"][0]["project"], &shown["items"][0]["may_end"]), (&json!("demo"), &json!(false)));
    assert!(world.signed_in("outsider").await.get("/api/v1/pauses").await.ok()["items"].as_array().unwrap().is_empty());

    // What comes is judged as always, and held back with a reason that names the pause.
    let body = labelled(&world, 3, "run:dev");
    let id = kept(&world, Some(greeter), ("g-1", 3), Some(&body)).await;
    let replayed = writer.post(&format!("/api/v1/deliveries/{id}/replay"), json!({"reason": "try"})).await;
    assert_eq!((replayed.status, &replayed.body["verdict"]), (201, &json!("paused")), "{}", replayed.body);
    let reason = replayed.body["reason"].as_str().unwrap();
    assert!(reason.contains("the project is paused by project-admin") && reason.contains("too dear"), "{reason}");
    writer.post("/api/v1/runs", start(4, "dev")).await.refused(409, "paused");
    writer.post(&format!("/api/v1/runs/{ended}/retry"), json!({"from": "start"})).await.refused(409, "paused");
    assert_eq!(reader.get("/api/v1/deliveries?verdict=paused").await.ok()["items"].as_array().unwrap().len(), 1);

    // When it is over, the same delivery starts what it asked for.
    let pause = begun.body["pause"]["id"].as_str().unwrap();
    let path = format!("/api/v1/pauses/{pause}/end");
    writer.post(&path, json!({})).await.refused(403, "role_missing");
    let over = admin.post(&path, json!({"reason": "cheaper now"})).await.ok();
    assert_eq!((&over["held_back"], over["ended_at"].is_string()), (&json!(1), true));
    admin.post(&path, json!({})).await.refused(409, "pause_over");
    let again = replayed.body["delivery"].as_str().unwrap();
    let replayed = writer.post(&format!("/api/v1/deliveries/{again}/replay"), json!({"reason": "now"})).await;
    assert_eq!(replayed.body["verdict"], "started", "{}", replayed.body);
    assert_eq!(world.audited("pause.begun").await[0]["reason"], "the model is too dear");
    assert_eq!(world.audited("pause.ended").await[0]["reason"], "cheaper now");
}

#[tokio::test]
async fn a_pause_of_an_agent_leaves_the_others_alone() {
    let world = World::start().await;
    repositories(&world).await;
    let (admin, writer) = (world.signed_in("admin").await, world.signed_in("writer").await);
    admin.post("/api/v1/pauses", json!({"agent": "no such name!", "reason": "x"})).await.refused(400, "agent_invalid");
    let begun = admin.post("/api/v1/pauses", json!({"agent": "dev", "reason": "it misbehaves"})).await;
    assert_eq!(begun.status, 201, "{}", begun.body);
    let refused = writer.post("/api/v1/runs", start(1, "dev")).await;
    refused.refused(409, "paused");
    assert!(refused.body["detail"].as_str().unwrap().contains("agent `dev` is paused"), "{}", refused.body);
    assert_eq!(writer.post("/api/v1/runs", start(1, "planner")).await.status, 202);
    let project_admin = world.signed_in("project-admin").await;
    let pause = begun.body["pause"]["id"].as_str().unwrap();
    project_admin.post(&format!("/api/v1/pauses/{pause}/end"), json!({})).await.refused(403, "role_missing");
    admin.post(&format!("/api/v1/pauses/{NOTHING}/end"), json!({})).await.refused(404, "pause_not_found");
}

#[tokio::test]
async fn what_is_at_work_ends_with_the_pause_if_that_is_asked_for() {
    let world = World::start().await;
    let (greeter, vault) = repositories(&world).await;
    let (one, two) = (run(&world, greeter, 1, world.now()).await, run(&world, greeter, 2, world.now()).await);
    let other = run(&world, vault, 1, world.now()).await;
    let admin = world.signed_in("project-admin").await;
    let wish = json!({"project": "demo", "reason": "stop it all", "running": "cancel"});
    let begun = admin.post("/api/v1/pauses", wish).await;
    assert_eq!((begun.status, &begun.body["cancelling"]), (201, &json!(2)), "{}", begun.body);
    for (run, cancels) in [(one, 1), (two, 1), (other, 0)] {
        let told = commands::list_for_run(&mut world.store().acquire().await.unwrap(), run).await.unwrap();
        let count = told.iter().filter(|command| command.kind == store::CommandKind::Cancel).count();
        assert_eq!(count, cancels, "{run}");
    }
    let audited = world.audited("cancel_requested").await;
    assert_eq!((audited.len(), &audited[0]["reason"]), (2, &json!("paused: stop it all")));
}

#[tokio::test]
async fn an_agent_is_started_by_hand_once() {
    let world = World::start().await;
    repositories(&world).await;
    let (reader, writer) = (world.signed_in("reader").await, world.signed_in("writer").await);
    reader.post("/api/v1/runs", start(5, "dev")).await.refused(403, "role_missing");
    let outsider = world.signed_in("outsider").await;
    outsider.post("/api/v1/runs", start(5, "dev")).await.refused(404, "repository_not_found");
    for (body, status, code) in [
        (start(0, "dev"), 400, "number_invalid"),
        (start(5, "nobody"), 409, "no_rule"),
        (json!({"repository": "acme/nothing", "number": 5, "agent": "dev"}), 404, "repository_not_found"),
        (json!({"repository": "acme/vault", "number": 5, "agent": "dev"}), 404, "repository_not_found"),
        (json!({"repository": "acme", "number": 5, "agent": "dev"}), 404, "repository_not_found"),
        (json!({"number": 5, "agent": "dev"}), 400, "body_invalid"),
        (json!({"repository": "acme/greeter", "number": 5, "agent": "dev", "x": 1}), 400, "body_invalid"),
    ] {
        writer.post("/api/v1/runs", body).await.refused(status, code);
    }
    let long = json!({"repository": "acme/greeter", "number": 5, "agent": "dev", "instructions": "x".repeat(10_001)});
    writer.post("/api/v1/runs", long).await.refused(400, "instructions_invalid");
    assert!(
        reader.get("/api/v1/deliveries").await.ok()["items"].as_array().unwrap().is_empty(),
        "no trace of refusals"
    );
    let send = |agent: &str| {
        let request = writer.request(Method::POST, "/api/v1/runs").header("idempotency-key", "k");
        writer.send(request.json(&start(5, agent)))
    };
    let (one, two) = tokio::join!(send("dev"), send("dev"));
    assert_eq!((one.status, two.status), (202, 202), "{} {}", one.body, two.body);
    assert_eq!(one.body["run"], two.body["run"]);
    send("planner").await.refused(422, "idempotency_key_reused");
    let id = one.body["run"].as_str().unwrap();
    let detail = reader.get(&format!("/api/v1/runs/{id}")).await.ok();
    assert_eq!(
        (&detail["run"]["trigger"]["kind"], &detail["run"]["requested_by"]),
        (&json!("manual"), &json!("writer"))
    );
    assert_eq!(
        (&detail["deliveries"][0]["event"], &detail["deliveries"][0]["verdict"]),
        (&json!("by_hand"), &json!("started"))
    );
    let told = commands::list_for_run(&mut world.store().acquire().await.unwrap(), id.parse().unwrap()).await.unwrap();
    assert_eq!((told.len(), told[0].kind), (1, store::CommandKind::Start));
    assert_eq!(world.audited("run_requested").await.len(), 1);
    writer.post("/api/v1/runs", start(5, "dev")).await.refused(409, "already_working");
}
