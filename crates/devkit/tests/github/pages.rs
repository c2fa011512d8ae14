//! The plain pages.

use http::StatusCode;
use serde_json::json;

use crate::world::{REPOSITORY, World};

#[tokio::test]
async fn everything_can_be_looked_at_and_nothing_is_executed() {
    let world = World::start().await;
    let number = world.pull("notes").await;
    world.stand_in.comment("outsider", REPOSITORY, 1, "<script>alert('x')</script>").unwrap();
    let sha = world.stand_in.refs(REPOSITORY).await.unwrap()["refs/heads/notes"].clone();
    let status = json!({"state": "success", "context": "codex-k8s/run", "target_url": "javascript:alert(1)"});
    world.person("codex-bot").post(&format!("/repos/acme/greeter/statuses/{sha}"), status).await.created();
    let nobody = world.nobody();
    let text = |value: serde_json::Value| value.as_str().unwrap().to_owned();
    let index = text(nobody.get("/").await.ok());
    assert!(index.contains("href=\"/acme/greeter\""));
    let repository = text(nobody.get("/acme/greeter").await.ok());
    assert!(repository.contains("/acme/greeter/issues/1") && repository.contains("acme/greeter.git"));
    let issue = text(nobody.get("/acme/greeter/issues/1").await.ok());
    assert!(issue.contains("&lt;script&gt;") && !issue.contains("<script"));
    let pull = text(nobody.get(&format!("/acme/greeter/pull/{number}")).await.ok());
    assert!(pull.contains("<span class=\"add\">+two</span>") && pull.contains("codex-k8s/run"));
    assert!(!pull.contains("javascript:"));
    let diff = text(nobody.get(&format!("/acme/greeter/pull/{number}.diff")).await.ok());
    assert!(diff.starts_with("diff --git"));
    nobody.get("/acme/none").await.expect(StatusCode::NOT_FOUND);
    nobody.get("/acme/greeter/issues/none").await.expect(StatusCode::NOT_FOUND);
}
