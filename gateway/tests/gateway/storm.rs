//! Many events about one thing at once.

use futures::future::join_all;
use serde_json::Value;

use crate::{
    events::{comment, labeled},
    world::{World, sign},
};

#[tokio::test]
async fn ten_events_about_one_issue_start_one_run() {
    let world = World::new().await;
    // Five wishes, each told by two hooks under one GUID.
    let wishes: Vec<(&str, Value)> = vec![
        ("issues", labeled(1, "run:dev", 0)),
        ("issues", labeled(1, "run:dev", 1)),
        ("issues", labeled(1, "run:dev", 2)),
        ("issue_comment", comment(1, 501, "/run dev please", 1)),
        ("issue_comment", comment(1, 502, "/run dev now", 2)),
    ];
    let sends = wishes.iter().enumerate().flat_map(|(place, wish)| ["11", "12"].map(|hook| (place, hook, wish)));
    let answers: Vec<Value> = join_all(sends.map(async |(place, hook, (event, payload))| {
        let request = world.webhook(event, &format!("guid-{place}"), payload.to_string().into_bytes());
        let response = request.header("x-github-hook-id", hook).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 202);
        response.json().await.unwrap()
    }))
    .await;
    let verdicts = |verdict: &str| answers.iter().filter(|answer| answer["verdict"] == verdict).count();
    assert_eq!((verdicts("started"), verdicts("duplicate") + verdicts("already_working")), (1, 9), "{answers:?}");
    let run = answers.iter().find(|answer| answer["verdict"] == "started").unwrap()["run"].as_str().unwrap();
    assert!(answers.iter().all(|answer| answer["run"] == run), "{answers:?}");
    let told = |answer: &&Value| answer["verdict"] == "started" || answer["reason"].as_str().unwrap().contains(run);
    assert_eq!(answers.iter().filter(told).count(), 10, "{answers:?}");

    let rows = world.deliveries().await;
    assert_eq!(rows.len(), 10);
    assert!(rows.iter().all(|row| row.run == Some(run.parse().unwrap())));
    let commands = world.commands(run.parse().unwrap()).await;
    assert_eq!(commands.len(), 1, "{commands:?}");
    assert_eq!(commands[0].workflow_id, format!("test:agent-run:{run}:1"));
    assert_eq!(commands[0].payload, serde_json::json!({ "run": run, "attempt": 1, "from_step": null }));
}

#[tokio::test]
async fn one_bad_delivery_does_not_harm_its_neighbours() {
    let world = World::new().await;
    let sends = (0..20_i64).map(async |number| {
        let body = labeled(number + 1, "run:dev", 0).to_string().into_bytes();
        let signature = sign(if number % 4 == 0 { "wrong" } else { crate::world::SECRET }, &body);
        let request = world.unsigned("issues", &format!("guid-{number}"), body);
        request.header("x-hub-signature-256", signature).send().await.unwrap().status().as_u16()
    });
    let statuses = join_all(sends).await;
    assert_eq!(statuses.iter().filter(|status| **status == 202).count(), 15, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 5, "{statuses:?}");
    assert_eq!(world.deliveries().await.len(), 15);
}
