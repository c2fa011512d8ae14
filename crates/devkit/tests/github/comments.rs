//! Comments.

use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{REPOSITORY, World};

const COMMENTS: &str = "/repos/acme/greeter/issues/1/comments";

#[tokio::test]
async fn a_comment_is_written_read_edited_and_removed() {
    let world = World::start().await;
    let bot = world.person("codex-bot");
    let made = bot.post(COMMENTS, json!({"body": "<!-- marker -->\nWorking"})).await.created();
    let path = format!("/repos/acme/greeter/issues/comments/{}", made["id"]);
    assert_eq!(made["user"]["login"], "codex-bot");
    assert_eq!(bot.patch(&path, json!({"body": "Done"})).await.ok()["body"], "Done");
    assert_eq!(world.nobody().get(&path).await.ok()["body"], "Done");
    world.person("outsider").patch(&path, json!({"body": "Hacked"})).await.expect(StatusCode::FORBIDDEN);
    world.person("outsider").delete(&path).await.expect(StatusCode::FORBIDDEN);
    world.person("writer").delete(&path).await.expect(StatusCode::NO_CONTENT);
    bot.get(&path).await.expect(StatusCode::NOT_FOUND);
    bot.patch(&path, json!({"body": "Done"})).await.expect(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn texts_have_a_limit() {
    let world = World::start().await;
    let bot = world.person("codex-bot");
    bot.post(COMMENTS, json!({"body": "ä".repeat(65_536)})).await.created();
    let long = bot.post(COMMENTS, json!({"body": "ä".repeat(65_537)})).await;
    assert_eq!(long.expect(StatusCode::UNPROCESSABLE_ENTITY)["errors"][0]["field"], "body");
    bot.post(COMMENTS, json!({"body": " "})).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn since_leaves_out_what_was_not_touched() {
    let world = World::start().await;
    let old = world.stand_in.comment("writer", REPOSITORY, 1, "old").unwrap();
    let edited = world.stand_in.comment("writer", REPOSITORY, 1, "edited").unwrap();
    world.stand_in.knob(devkit::github::Knob::AdvanceClock { seconds: 60 }).await.unwrap();
    world.stand_in.edit_comment("writer", REPOSITORY, edited.id, "edited now").unwrap();
    let new = world.stand_in.comment("writer", REPOSITORY, 1, "new").unwrap();
    let since = new.created_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let ids = |value: Value| -> Vec<u64> {
        value.as_array().unwrap().iter().map(|comment| comment["id"].as_u64().unwrap()).collect()
    };
    let writer = world.person("writer");
    assert_eq!(ids(writer.get(COMMENTS).await.ok()), [old.id, edited.id, new.id]);
    assert_eq!(ids(writer.get(&format!("{COMMENTS}?since={since}")).await.ok()), [edited.id, new.id]);
    let everywhere = format!("/repos/acme/greeter/issues/comments?since={since}&sort=updated&direction=desc");
    assert_eq!(ids(writer.get(&everywhere).await.ok()), [new.id, edited.id]);
    writer.get(&format!("{COMMENTS}?since=yesterday")).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
}
