//! Files, refs, branches, commits and comparisons.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{Method, StatusCode};
use serde_json::json;

use crate::world::{REPOSITORY, World, answer};

#[tokio::test]
async fn files_and_folders_are_read_at_a_ref() {
    let world = World::start().await;
    let text = "version: 1\n";
    world.stand_in.commit("writer", REPOSITORY, "codex/1-names", &[("services.yaml", Some(text))]).await.unwrap();
    let bot = world.person("codex-bot");
    let path = "/repos/acme/greeter/contents/services.yaml";
    let on_main = bot.get(path).await.ok();
    let decoded: String = on_main["content"].as_str().unwrap().split('\n').collect();
    let decoded = String::from_utf8(BASE64_STANDARD.decode(decoded).unwrap()).unwrap();
    assert!(decoded.contains("python3 -m unittest"), "{decoded}");
    let raw = bot.request(Method::GET, &format!("{path}?ref=codex/1-names"));
    assert_eq!(answer(raw.header("accept", "application/vnd.github.raw+json")).await.ok(), json!(text));
    let folder = bot.get("/repos/acme/greeter/contents/greeter").await.ok();
    assert_eq!(folder[1]["path"], "greeter/__main__.py");
    let root = bot.get("/repos/acme/greeter/contents").await.ok();
    assert!(root.as_array().unwrap().iter().any(|entry| entry["type"] == "dir"));
    bot.get("/repos/acme/greeter/contents/none.txt").await.expect(StatusCode::NOT_FOUND);
    bot.get(&format!("{path}?ref=none")).await.expect(StatusCode::NOT_FOUND);
    bot.get("/repos/acme/greeter/contents/../other.git/config").await.expect(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_file_is_written_only_over_the_version_that_was_read() {
    let world = World::start().await;
    let writer = world.person("writer");
    let path = "/repos/acme/greeter/contents/notes/new.txt";
    let body =
        |text: &str, sha: Option<&str>| json!({"message": "Note", "content": BASE64_STANDARD.encode(text), "sha": sha});
    let made = writer.put(path, json!({"message": "Note", "content": BASE64_STANDARD.encode("1")})).await.created();
    let sha = made["content"]["sha"].as_str().unwrap();
    assert_eq!(made["commit"]["message"], "Note");
    writer.put(path, body("2", None)).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    writer.put(path, body("2", Some(&"0".repeat(40)))).await.expect(StatusCode::CONFLICT);
    writer.put(path, body("2", Some(sha))).await.ok();
    assert_eq!(world.stand_in.file(REPOSITORY, "main", "notes/new.txt").await.unwrap().unwrap(), "2");
}

#[tokio::test]
async fn refs_are_made_moved_and_removed() {
    let world = World::start().await;
    let bot = world.person("codex-bot");
    let main = bot.get("/repos/acme/greeter/git/ref/heads/main").await.ok();
    let first = main["object"]["sha"].as_str().unwrap().to_owned();
    let refs = "/repos/acme/greeter/git/refs";
    let new = json!({"ref": "refs/heads/codex/1-names", "sha": first});
    bot.post(refs, new.clone()).await.created();
    let twice = bot.post(refs, new).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(twice["message"], "Reference already exists");
    let second = world.stand_in.commit("writer", REPOSITORY, "codex/1-names", &[("a.txt", Some("a"))]).await.unwrap();
    let path = format!("{refs}/heads/codex/1-names");
    let back = bot.patch(&path, json!({"sha": first})).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(back["message"], "Update is not a fast forward");
    bot.patch(&path, json!({"sha": first, "force": true})).await.ok();
    bot.patch(&path, json!({"sha": second})).await.ok();
    let found = bot.get("/repos/acme/greeter/git/matching-refs/heads/codex/").await.ok();
    assert_eq!(found[0]["object"]["sha"], second);
    let branch = bot.get("/repos/acme/greeter/branches/codex/1-names").await.ok();
    assert_eq!(branch["commit"]["sha"], second);
    assert_eq!(bot.get("/repos/acme/greeter/branches").await.ok().as_array().unwrap().len(), 2);
    bot.delete(&path).await.expect(StatusCode::NO_CONTENT);
    bot.get("/repos/acme/greeter/git/ref/heads/codex/1-names").await.expect(StatusCode::NOT_FOUND);
    world.person("outsider").delete(&path).await.expect(StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn commits_are_shown_and_compared() {
    let world = World::start().await;
    let files = [("a.txt", Some("a\nb\n")), ("README.md", None)];
    let sha = world.stand_in.commit("writer", REPOSITORY, "codex/1-names", &files).await.unwrap();
    world.stand_in.commit("writer", REPOSITORY, "main", &[("b.txt", Some("b"))]).await.unwrap();
    let bot = world.person("codex-bot");
    let shown = bot.get("/repos/acme/greeter/commits/codex/1-names").await.ok();
    assert_eq!((&shown["sha"], &shown["author"]["login"]), (&json!(sha), &json!("writer")));
    assert_eq!(shown["files"][0]["status"], "removed");
    let compared = bot.get("/repos/acme/greeter/compare/main...codex/1-names").await.ok();
    assert_eq!(compared["status"], "diverged");
    assert_eq!((&compared["ahead_by"], &compared["behind_by"]), (&json!(1), &json!(1)));
    assert_eq!(compared["files"][1]["patch"], "@@ -0,0 +1,2 @@\n+a\n+b");
    bot.get("/repos/acme/greeter/compare/main...none").await.expect(StatusCode::NOT_FOUND);
    let history = bot.get("/repos/acme/greeter/commits?sha=codex/1-names&per_page=1").await;
    assert!(history.link("next").is_some());
}
