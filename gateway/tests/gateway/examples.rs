//! Every example payload that GitHub publishes.

use std::{collections::HashSet, env, fs, path::Path};

use serde::Deserialize;
use serde_json::Value;

use crate::world::World;

#[derive(Deserialize)]
struct Published {
    name: String,
    examples: Vec<Value>,
}

fn published() -> Vec<Published> {
    let folder = env::var("CODEX_K8S_WEBHOOK_EXAMPLES")
        .unwrap_or_else(|_| panic!("CODEX_K8S_WEBHOOK_EXAMPLES is not set: run it through \"cargo dev test\""));
    serde_json::from_slice(&fs::read(Path::new(&folder).join("index.json")).unwrap()).unwrap()
}

#[tokio::test]
async fn every_published_payload_gives_one_row_and_a_reason() {
    let world = World::new().await;
    let events = published();
    let payloads: Vec<(&str, String)> = events
        .iter()
        .flat_map(|event| event.examples.iter().map(|example| (event.name.as_str(), example.to_string())))
        .collect();
    assert_eq!(payloads.len(), 329);
    let mut ids = HashSet::new();
    for (place, (name, body)) in payloads.iter().enumerate() {
        let send = async || -> Value {
            let response =
                world.webhook(name, &format!("guid-{place}"), body.clone().into_bytes()).send().await.unwrap();
            assert_eq!(response.status().as_u16(), 202, "{name} {place}");
            response.json().await.unwrap()
        };
        let first = send().await;
        assert!(first["reason"].as_str().unwrap().len() > 10, "{name}: {first}");
        assert_eq!(send().await, first, "{name}");
        ids.insert(first["delivery"].as_str().unwrap().to_owned());
        let mut flipped = body.clone().into_bytes();
        flipped[body.len() / 2] ^= 1;
        let signature = crate::world::sign(crate::world::SECRET, body.as_bytes());
        let refused = world.unsigned(name, "flipped", flipped).header("x-hub-signature-256", signature).send().await;
        assert_eq!(refused.unwrap().status().as_u16(), 401, "{name}");
    }
    assert_eq!((ids.len(), world.deliveries().await.len()), (329, 329));
}
