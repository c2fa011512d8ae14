//! Beside what people read stands what it is made of.

use domain::run::Outcome;
use serde_json::{Value, json};

use crate::{
    replays::{kept, labelled},
    runs::{finish, repositories, run},
    world::World,
};

/// The code and the places of a sentence; what stands in one of them differs from day to day.
fn coded(answer: &Value, differs: &str) -> Value {
    let mut coded = answer.clone();
    let value = coded.pointer_mut(differs).unwrap_or_else(|| panic!("{answer} has no {differs}"));
    assert!(value.is_string(), "{answer}");
    *value = json!("…");
    coded
}

#[tokio::test]
async fn what_is_held_back_and_what_is_refused_has_a_code() {
    let world = World::start().await;
    let (greeter, _) = repositories(&world).await;
    let (admin, writer) = (world.signed_in("project-admin").await, world.signed_in("writer").await);
    let wish = json!({"project": "demo", "reason": "no model"});
    let refused = writer.post("/api/v1/pauses", wish.clone()).await;
    let role = json!({"code": "role_missing", "params": {"needed": "admin", "role": "write"}});
    assert_eq!(refused.body["detail_coded"], role, "{}", refused.body);
    assert_eq!(admin.post("/api/v1/pauses", wish).await.status, 201);

    let body = labelled(&world, 3, "run:dev");
    let id = kept(&world, Some(greeter), ("g-1", 3), Some(&body)).await;
    let replayed = writer.post(&format!("/api/v1/deliveries/{id}/replay"), json!({"reason": "try"})).await;
    let pause =
        json!({"code": "project_paused", "params": {"by": "project-admin", "since": "…", "reason": "no model"}});
    let held = json!({"code": "start_held_by_pause", "params": {"pause": pause, "agent": "dev"}});
    assert_eq!(coded(&replayed.body["reason_coded"], "/params/pause/params/since"), held);
    let listed = writer.get("/api/v1/deliveries?verdict=paused").await.ok();
    assert_eq!(listed["items"][0]["reason_coded"], replayed.body["reason_coded"]);
    let refused = writer.post("/api/v1/runs", json!({"repository": "acme/greeter", "number": 4, "agent": "dev"})).await;
    assert_eq!(coded(&refused.body["detail_coded"], "/params/pause/params/since"), held, "{}", refused.body);
}

#[tokio::test]
async fn what_others_said_has_none() {
    let world = World::start().await;
    let (greeter, _) = repositories(&world).await;
    let ended = run(&world, greeter, 8, world.now()).await;
    finish(&world, ended, Outcome::Failed).await;
    let shown = world.signed_in("reader").await.get(&format!("/api/v1/runs/{ended}")).await.ok();
    assert!(shown["run"]["cause"].is_string() && shown["run"]["cause_coded"].is_null(), "{shown}");
}
