//! What the command line asks the staff API with.

use gateway::staff_client::{StaffClient, StaffError};
use role::SecretText;
use serde_json::json;

use crate::{runs::ended_run, world::World};

/// A token for scripts of somebody.
async fn token(world: &World, login: &str, scope: &str) -> SecretText {
    let browser = world.signed_in(login).await;
    let made = browser.post("/api/v1/me/tokens", json!({"name": "cli", "scopes": [scope], "days": 1})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    SecretText::new(made.body["secret"].as_str().unwrap())
}

fn refusal(error: &StaffError) -> (u16, &str) {
    match error {
        StaffError::Refused { status, code, request_id, .. } => {
            assert_ne!(request_id, "unknown");
            (*status, code)
        }
        StaffError::Unreachable { .. } => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_token_reads_and_writes_as_its_person_may() {
    let world = World::start().await;
    let run = ended_run(&world).await;
    let url = world.url().parse().unwrap();
    let client = StaffClient::new(&url, &token(&world, "writer", "write").await).unwrap();
    let detail = client.get(&format!("/api/v1/runs/{run}")).await.unwrap();
    assert_eq!(detail["run"]["id"], json!(run));
    let (retry, start) = (format!("/api/v1/runs/{run}/retry"), json!({"from": "start", "reason": null}));
    for _ in 0..2 {
        let answer = client.post(&retry, &start, "k").await.unwrap();
        assert_eq!(answer["run"], json!(run), "the same key is the same wish");
    }
    let other = client.post(&format!("/api/v1/runs/{run}/retry"), &json!({"from": "start"}), "k2").await.unwrap_err();
    assert_eq!(refusal(&other), (409, "run_at_work"));
    let missing = client.get("/api/v1/runs/01900000-0000-7000-8000-000000000000").await.unwrap_err();
    assert_eq!(refusal(&missing), (404, "run_not_found"));
    let reading = StaffClient::new(&url, &token(&world, "writer", "read").await).unwrap();
    let cut = reading.post(&format!("/api/v1/runs/{run}/cancel"), &json!({}), "k3").await.unwrap_err();
    assert_eq!(refusal(&cut), (403, "scope_missing"));
}

#[tokio::test]
async fn what_goes_wrong_is_said_without_the_token() {
    let world = World::start().await;
    let secret = "ck8s_0123456789012345678901234567890123456789012";
    let client = StaffClient::new(&world.url().parse().unwrap(), &SecretText::new(secret)).unwrap();
    let unknown = client.get("/api/v1/runs").await.unwrap_err();
    assert_eq!(refusal(&unknown), (401, "api_token_unknown"));
    let away = StaffClient::new(&"http://127.0.0.1:1".parse().unwrap(), &SecretText::new(secret)).unwrap();
    let error = away.get("/api/v1/runs").await.unwrap_err();
    assert!(matches!(error, StaffError::Unreachable { .. }), "{error}");
    for said in [unknown.to_string(), error.to_string(), format!("{error:?}"), format!("{unknown:?}")] {
        assert!(!said.contains(secret) && !said.is_empty(), "{said}");
    }
    assert!(StaffClient::new(&world.url().parse().unwrap(), &SecretText::new("no\ntoken")).is_err());
}
