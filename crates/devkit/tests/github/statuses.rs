//! Commit statuses.

use http::StatusCode;
use serde_json::json;

use crate::world::{REPOSITORY, World};

#[tokio::test]
async fn the_newest_status_of_each_context_counts() {
    let world = World::start().await;
    let sha = world.stand_in.refs(REPOSITORY).await.unwrap()["refs/heads/main"].clone();
    let bot = world.person("codex-bot");
    let write = format!("/repos/acme/greeter/statuses/{sha}");
    let combined = "/repos/acme/greeter/commits/main/status";
    assert_eq!(bot.get(combined).await.ok()["state"], "pending");
    for (context, state) in [("codex-k8s/run", "pending"), ("lint", "success"), ("codex-k8s/run", "success")] {
        bot.post(&write, json!({"state": state, "context": context, "description": "…"})).await.created();
    }
    let told = bot.get(combined).await.ok();
    assert_eq!((&told["state"], &told["total_count"]), (&json!("success"), &json!(2)));
    bot.post(&write, json!({"state": "error", "context": "lint"})).await.created();
    assert_eq!(bot.get(combined).await.ok()["state"], "failure");
    let all = bot.get(&format!("/repos/acme/greeter/commits/{sha}/statuses")).await.ok();
    assert_eq!(all.as_array().unwrap().len(), 4);
    assert_eq!(world.stand_in.statuses(REPOSITORY, &sha).unwrap().len(), 4);
}

#[tokio::test]
async fn a_status_needs_a_commit_a_word_and_a_right() {
    let world = World::start().await;
    let sha = world.stand_in.refs(REPOSITORY).await.unwrap()["refs/heads/main"].clone();
    let good = json!({"state": "success"});
    let nowhere = format!("/repos/acme/greeter/statuses/{}", "0".repeat(40));
    let bot = world.person("codex-bot");
    bot.post(&nowhere, good.clone()).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    let path = format!("/repos/acme/greeter/statuses/{sha}");
    bot.post(&path, json!({"state": "fine"})).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    let long = json!({"state": "success", "description": "x".repeat(141)});
    bot.post(&path, long).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    world.person("outsider").post(&path, good).await.expect(StatusCode::FORBIDDEN);
}
