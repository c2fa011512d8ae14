//! Reviews and comments on lines.

use http::StatusCode;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn a_review_carries_comments_on_lines_of_the_diff() {
    let world = World::start().await;
    let number = world.pull("notes").await;
    let bot = world.person("codex-bot");
    let path = format!("/repos/acme/greeter/pulls/{number}/reviews");
    let comments = json!([
        {"path": "notes.txt", "line": 2, "side": "RIGHT", "body": "Why two?"},
        {"path": "notes.txt", "start_line": 1, "line": 3, "side": "RIGHT", "body": "All of it"},
    ]);
    let new = json!({"event": "COMMENT", "body": "Looks fine", "comments": comments});
    let review = bot.post(&path, new).await.ok();
    assert_eq!(review["state"], "COMMENTED");
    let shown = bot.get(&format!("{path}/{}/comments", review["id"])).await.ok();
    assert_eq!((&shown[0]["line"], &shown[0]["position"]), (&json!(2), &json!(2)));
    assert_eq!(shown[0]["diff_hunk"], "@@ -0,0 +1,3 @@\n+one\n+two");
    assert_eq!(shown[1]["start_line"], 1);
    let all = bot.get(&format!("/repos/acme/greeter/pulls/{number}/comments")).await.ok();
    assert_eq!(all.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_review_is_taken_whole_or_not_at_all() {
    let world = World::start().await;
    let number = world.pull("notes").await;
    let bot = world.person("codex-bot");
    let path = format!("/repos/acme/greeter/pulls/{number}/reviews");
    for (bad, sentence) in [
        (json!({"path": "notes.txt", "line": 9, "body": "x"}), "Line could not be resolved"),
        (json!({"path": "none.txt", "line": 1, "body": "x"}), "Path could not be resolved"),
        (json!({"path": "notes.txt", "line": 1, "side": "LEFT", "body": "x"}), "Line could not be resolved"),
    ] {
        let good = json!({"path": "notes.txt", "line": 1, "body": "good"});
        let new = json!({"event": "COMMENT", "body": "x", "comments": [good, bad]});
        let told = bot.post(&path, new).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(told["errors"], json!([sentence]));
    }
    assert_eq!(bot.get(&path).await.ok(), json!([]));
    let empty = bot.post(&path, json!({"event": "COMMENT"})).await;
    empty.expect(StatusCode::UNPROCESSABLE_ENTITY);
    let own = world.person("writer").post(&path, json!({"event": "APPROVE"})).await;
    let told = own.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(told["errors"], json!(["Can not approve your own pull request"]));
}

#[tokio::test]
async fn a_comment_stands_alone_and_is_answered() {
    let world = World::start().await;
    let number = world.pull("notes").await;
    let bot = world.person("codex-bot");
    let head = bot.get(&format!("/repos/acme/greeter/pulls/{number}")).await.ok()["head"]["sha"].clone();
    let path = format!("/repos/acme/greeter/pulls/{number}/comments");
    let new = json!({"body": "Hm", "commit_id": head, "path": "notes.txt", "line": 1, "side": "RIGHT"});
    let made = bot.post(&path, new).await.created();
    let outside = json!({"body": "Hm", "commit_id": head, "path": "notes.txt", "line": 99, "side": "RIGHT"});
    let told = bot.post(&path, outside).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(told["errors"][0]["field"], "pull_request_review_thread.line");
    let file = json!({"body": "All", "commit_id": head, "path": "notes.txt", "subject_type": "file"});
    assert_eq!(bot.post(&path, file).await.created()["subject_type"], "file");
    let writer = world.person("writer");
    let reply = writer.post(&format!("{path}/{}/replies", made["id"]), json!({"body": "Indeed"})).await.created();
    assert_eq!((&reply["in_reply_to_id"], &reply["line"]), (&made["id"], &json!(1)));
}

#[tokio::test]
async fn a_pending_review_is_its_authors_alone_until_handed_in() {
    let world = World::start().await;
    let number = world.pull("notes").await;
    let maintainer = world.person("maintainer");
    let path = format!("/repos/acme/greeter/pulls/{number}/reviews");
    let pending = maintainer.post(&path, json!({"body": "Wait"})).await.ok();
    assert_eq!(pending["state"], "PENDING");
    assert_eq!(world.person("writer").get(&path).await.ok(), json!([]));
    let events = format!("{path}/{}/events", pending["id"]);
    let handed = maintainer.post(&events, json!({"event": "REQUEST_CHANGES", "body": "No"})).await.ok();
    assert_eq!((&handed["state"], &handed["body"]), (&json!("CHANGES_REQUESTED"), &json!("No")));
    assert_eq!(world.person("writer").get(&path).await.ok()[0]["body"], "No");
}
