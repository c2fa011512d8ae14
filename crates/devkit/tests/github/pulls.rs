//! Pull requests.

use http::{Method, StatusCode};
use serde_json::json;

use crate::world::{REPOSITORY, World, answer};

const PULLS: &str = "/repos/acme/greeter/pulls";

#[tokio::test]
async fn a_pull_request_shows_what_it_changes() {
    let world = World::start().await;
    let text = "def greet(name):\n    return f\"Hello, {name.strip()}!\"\n";
    let head = world
        .stand_in
        .commit("codex-bot", REPOSITORY, "codex/1-names", &[("greeter/greeting.py", Some(text))])
        .await
        .unwrap();
    let bot = world.person("codex-bot");
    let new = json!({"title": "Strip names", "head": "codex/1-names", "base": "main", "body": "Closes #1"});
    let pull = bot.post(PULLS, new.clone()).await.created();
    assert_eq!((&pull["number"], &pull["head"]["sha"]), (&json!(2), &json!(head)));
    assert_eq!((&pull["mergeable"], &pull["commits"], &pull["changed_files"]), (&json!(true), &json!(1), &json!(1)));
    let files = bot.get(&format!("{PULLS}/2/files")).await.ok();
    assert_eq!(files[0]["filename"], "greeter/greeting.py");
    assert!(files[0]["patch"].as_str().unwrap().starts_with("@@ -1,"));
    let commits = bot.get(&format!("{PULLS}/2/commits")).await.ok();
    assert_eq!(commits[0]["sha"], head);
    let diff = bot.request(Method::GET, &format!("{PULLS}/2")).header("accept", "application/vnd.github.diff");
    assert!(answer(diff).await.ok().as_str().unwrap().starts_with("diff --git a/greeter/greeting.py"));
    let twice = bot.post(PULLS, new).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(twice["errors"][0]["message"], "A pull request already exists for acme:codex/1-names.");
    assert_eq!(world.stand_in.refs(REPOSITORY).await.unwrap()["refs/pull/2/head"], head);
}

#[tokio::test]
async fn a_pull_request_needs_two_branches_that_differ() {
    let world = World::start().await;
    let writer = world.person("writer");
    let open = |head: &str, base: &str| json!({"title": "x", "head": head, "base": base});
    for (head, base, field) in [("none", "main", "head"), ("main", "none", "base")] {
        let told = writer.post(PULLS, open(head, base)).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(told["errors"][0], json!({"resource": "PullRequest", "field": field, "code": "invalid"}));
    }
    let told = writer.post(PULLS, open("main", "main")).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(told["errors"][0]["message"], "No commits between main and main");
    world.pull("notes").await;
    world.person("outsider").post(PULLS, open("notes", "main")).await.expect(StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_pull_request_is_found_by_head_base_and_state() {
    let world = World::start().await;
    let (first, second) = (world.pull("notes").await, world.pull("more").await);
    world.stand_in.close_issue("writer", REPOSITORY, second).unwrap();
    let writer = world.person("writer");
    for (query, expected) in [
        ("?head=acme:notes", vec![first]),
        ("?head=acme:more", vec![]),
        ("?head=acme:more&state=all", vec![second]),
        ("?state=closed", vec![second]),
        ("?base=main&state=all", vec![second, first]),
        ("?base=other", vec![]),
    ] {
        let found = writer.get(&format!("{PULLS}{query}")).await.ok();
        let numbers: Vec<_> = found.as_array().unwrap().iter().map(|pull| pull["number"].as_u64().unwrap()).collect();
        assert_eq!(numbers, expected, "{query}");
    }
}

#[tokio::test]
async fn a_pull_request_is_edited_and_listed_as_an_issue() {
    let world = World::start().await;
    let number = world.pull("notes").await;
    let writer = world.person("writer");
    let path = format!("{PULLS}/{number}");
    let edited = writer.patch(&path, json!({"title": "Better notes", "body": "Because."})).await.ok();
    assert_eq!((&edited["title"], &edited["body"]), (&json!("Better notes"), &json!("Because.")));
    let issue = writer.get(&format!("/repos/acme/greeter/issues/{number}")).await.ok();
    assert_eq!(issue["pull_request"]["html_url"], format!("{}/acme/greeter/pull/{number}", world.stand_in.url()));
    world.person("outsider").patch(&path, json!({"title": "x"})).await.expect(StatusCode::FORBIDDEN);
    let closed = writer.patch(&path, json!({"state": "closed"})).await.ok();
    assert_eq!((&closed["state"], &closed["merged"]), (&json!("closed"), &json!(false)));
    writer.get(&format!("{PULLS}/1")).await.expect(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn merging_makes_a_merge_commit_and_refuses_conflicts() {
    let world = World::start().await;
    let first = world.pull("notes").await;
    world.stand_in.commit("writer", REPOSITORY, "rival", &[("notes.txt", Some("other\n"))]).await.unwrap();
    let second = world.stand_in.open_pull("writer", REPOSITORY, "rival", "Other notes").await.unwrap().number;
    let writer = world.person("writer");
    let moved = writer.put(&format!("{PULLS}/{first}/merge"), json!({"sha": "0".repeat(40)})).await;
    moved.expect(StatusCode::CONFLICT);
    let merged = writer.put(&format!("{PULLS}/{first}/merge"), json!({})).await.ok();
    let shown = writer.get(&format!("{PULLS}/{first}")).await.ok();
    assert_eq!((&shown["merged"], &shown["merge_commit_sha"]), (&json!(true), &merged["sha"]));
    assert_eq!(world.stand_in.file(REPOSITORY, "main", "notes.txt").await.unwrap().unwrap(), "one\ntwo\nthree\n");
    assert_eq!(writer.get(&format!("{PULLS}/{second}")).await.ok()["mergeable"], false);
    let refused = writer.put(&format!("{PULLS}/{second}/merge"), json!({})).await;
    refused.expect(StatusCode::METHOD_NOT_ALLOWED);
    let reopened = writer.patch(&format!("{PULLS}/{first}"), json!({"state": "open"})).await;
    reopened.expect(StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_pull_request_can_come_from_a_fork() {
    let world = World::start().await;
    let fork = world.stand_in.fork_repo("outsider", REPOSITORY).await.unwrap();
    assert_eq!(fork, "outsider/greeter");
    world.stand_in.commit("outsider", &fork, "mine", &[("mine.txt", Some("mine\n"))]).await.unwrap();
    let pull = world.stand_in.open_pull("outsider", REPOSITORY, "outsider:mine", "From afar").await.unwrap();
    let shown = world.person("writer").get(&format!("{PULLS}/{}", pull.number)).await.ok();
    assert_eq!(shown["head"]["repo"]["full_name"], "outsider/greeter");
    assert_eq!(shown["head"]["repo"]["fork"], true);
    assert_eq!(shown["base"]["repo"]["full_name"], "acme/greeter");
    let moved = world.stand_in.commit("outsider", &fork, "mine", &[("mine.txt", Some("ours\n"))]).await.unwrap();
    assert_eq!(world.stand_in.issue(REPOSITORY, pull.number).unwrap().pull.unwrap().head_sha, moved);
}
