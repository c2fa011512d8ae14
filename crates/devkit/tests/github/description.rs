//! Both sides held to GitHub's published description.

use devkit::github::{Exchange, openapi::Description};
use http::Method;
use serde_json::json;

use crate::{
    apps::install,
    receiver::{Receiver, SECRET},
    world::{REPOSITORY, World, answer},
};

const REPO: &str = "/repos/acme/greeter";

/// Every kind of request that the stand-in understands, each at least once.
async fn everything(world: &World) {
    let (bot, maintainer) = (world.person("codex-bot"), world.person("maintainer"));
    for path in ["/user", "/users/acme", "/user/repos", "/users/acme/repos", "/orgs/acme/repos", "/meta", "/rate_limit"]
    {
        bot.get(path).await.ok();
    }
    for path in ["", "/issues?state=all", "/labels", "/labels/bug", "/issues/1", "/contents", "/branches", "/commits"] {
        bot.get(&format!("{REPO}{path}")).await.ok();
    }
    issues(world).await;
    git(world).await;
    hooks(world).await;
    maintainer.post("/orgs/acme/repos", json!({"name": "other", "private": true})).await.created();
    maintainer.post("/user/repos", json!({"name": "own"})).await.created();
    world.person("outsider").post(&format!("{REPO}/forks"), json!({})).await;
    for path in ["collaborators", "collaborators/writer/permission"] {
        maintainer.get(&format!("{REPO}/{path}")).await.ok();
    }
    maintainer.get(&format!("{REPO}/collaborators/writer")).await;
    maintainer.put(&format!("{REPO}/collaborators/outsider"), json!({"permission": "triage"})).await;
    maintainer.delete(&format!("{REPO}/collaborators/outsider")).await;
    pulls(world).await;
    apps(world).await;
    maintainer.patch(REPO, json!({"name": "host", "archived": true})).await.ok();
    bot.get("/repos/acme/none").await;
    bot.post("/repos/acme/host/issues", json!({"title": "x"})).await;
}

async fn apps(world: &World) {
    let app = install(world);
    let itself = world.with_token(&app.signature(-60, 540));
    let path = format!("/app/installations/{}", app.installation);
    for path in ["/app", path.as_str(), &format!("{REPO}/installation")] {
        itself.get(path).await.ok();
    }
    let cut = json!({"repositories": ["greeter"], "permissions": {"issues": "write", "metadata": "read"}});
    let token = app.token(world, cut).await;
    let bot = world.with_token(&token);
    bot.get("/installation/repositories").await.ok();
    bot.post(&format!("{REPO}/issues"), json!({"title": "By an App"})).await.created();
    bot.post(&format!("{REPO}/issues/1/comments"), json!({"body": "By an App"})).await.created();
    bot.get("/user").await;
    bot.get(&format!("{REPO}/hooks")).await;
    bot.post(&format!("{path}/access_tokens"), json!({})).await;
    app.mint(world, json!({"permissions": {"actions": "write"}})).await;
    itself.get("/repos/acme/none/installation").await;
}

async fn issues(world: &World) {
    let bot = world.person("codex-bot");
    let issues = format!("{REPO}/issues");
    bot.post(&issues, json!({"title": "T", "body": "B", "labels": ["bug"]})).await.created();
    bot.patch(&format!("{issues}/2"), json!({"state": "closed", "state_reason": "completed"})).await.ok();
    let labels = format!("{issues}/1/labels");
    bot.post(&labels, json!({"labels": ["codex:queued"]})).await.ok();
    bot.put(&labels, json!({"labels": ["codex:working"]})).await.ok();
    bot.get(&labels).await.ok();
    bot.delete(&format!("{labels}/codex:working")).await.ok();
    bot.delete(&labels).await;
    bot.post(&format!("{REPO}/labels"), json!({"name": "n", "color": "ff0000", "description": "d"})).await.created();
    bot.post(&format!("{REPO}/labels"), json!({"name": "n", "color": "ff0000"})).await;
    bot.delete(&format!("{REPO}/labels/n")).await;
    let made = bot.post(&format!("{issues}/1/comments"), json!({"body": "hello"})).await.created();
    let comment = format!("{issues}/comments/{}", made["id"]);
    bot.patch(&comment, json!({"body": "bye"})).await.ok();
    bot.get(&comment).await.ok();
    bot.get(&format!("{issues}/1/comments?since=2020-01-01T00:00:00Z&per_page=1")).await.ok();
    bot.get(&format!("{issues}/comments?sort=updated&direction=desc")).await.ok();
    bot.delete(&comment).await;
}

async fn git(world: &World) {
    let bot = world.person("codex-bot");
    let main = bot.get(&format!("{REPO}/git/ref/heads/main")).await.ok();
    let sha = main["object"]["sha"].as_str().unwrap().to_owned();
    bot.post(&format!("{REPO}/git/refs"), json!({"ref": "refs/heads/codex/1-names", "sha": sha})).await.created();
    let change = json!({"message": "m", "content": "aGkK", "branch": "codex/1-names"});
    bot.put(&format!("{REPO}/contents/hi.txt"), change).await.created();
    bot.patch(&format!("{REPO}/git/refs/heads/codex/1-names"), json!({"sha": sha, "force": true})).await.ok();
    for path in [
        "git/matching-refs/heads/",
        "branches/codex/1-names",
        "commits/codex/1-names",
        "compare/main...codex/1-names",
        "contents/README.md?ref=main",
        "contents/greeter",
    ] {
        bot.get(&format!("{REPO}/{path}")).await.ok();
    }
    let status =
        json!({"state": "success", "context": "codex-k8s/run", "description": "d", "target_url": "http://127.0.0.1/x"});
    bot.post(&format!("{REPO}/statuses/{sha}"), status).await.created();
    bot.get(&format!("{REPO}/commits/{sha}/statuses")).await.ok();
    bot.get(&format!("{REPO}/commits/main/status")).await.ok();
    bot.delete(&format!("{REPO}/git/refs/heads/codex/1-names")).await;
    bot.post(&format!("{REPO}/statuses/{}", "0".repeat(40)), json!({"state": "success"})).await;
}

async fn hooks(world: &World) {
    let maintainer = world.person("maintainer");
    let receiver = Receiver::start().await;
    let config = json!({"url": receiver.url, "content_type": "json", "secret": SECRET, "insecure_ssl": "0"});
    let new = json!({"name": "web", "config": config, "events": ["issues"], "active": true});
    let hook = maintainer.post(&format!("{REPO}/hooks"), new).await.created();
    let path = format!("{REPO}/hooks/{}", hook["id"]);
    world.stand_in.label_issue("writer", REPOSITORY, 1, "bug").unwrap();
    receiver.wait_for(1).await;
    maintainer.get(&format!("{REPO}/hooks")).await.ok();
    maintainer.get(&path).await.ok();
    maintainer.patch(&path, json!({"events": ["issues", "push"]})).await.ok();
    maintainer.send(Method::POST, &format!("{path}/pings"), None).await;
    let id = hook["id"].as_u64().unwrap();
    let first = world.stand_in.deliveries(id)[0].id;
    maintainer.get(&format!("{path}/deliveries?per_page=1")).await.ok();
    maintainer.get(&format!("{path}/deliveries/{first}")).await.ok();
    maintainer.send(Method::POST, &format!("{path}/deliveries/{first}/attempts"), None).await;
    maintainer.delete(&path).await;
}

async fn pulls(world: &World) {
    let (bot, maintainer) = (world.person("codex-bot"), world.person("maintainer"));
    world.stand_in.commit("writer", REPOSITORY, "notes", &[("notes.txt", Some("1\n2\n"))]).await.unwrap();
    let pulls = format!("{REPO}/pulls");
    let new = json!({"title": "t", "head": "notes", "base": "main", "body": "b", "draft": false});
    let pull = bot.post(&pulls, new.clone()).await.created();
    bot.post(&pulls, new).await;
    let path = format!("{pulls}/{}", pull["number"]);
    bot.patch(&path, json!({"title": "u", "body": "c"})).await.ok();
    answer(bot.request(Method::GET, &path).header("accept", "application/vnd.github.diff")).await.ok();
    let line =
        json!({"path": "notes.txt", "line": 2, "side": "RIGHT", "start_line": 1, "start_side": "RIGHT", "body": "b"});
    let review = json!({"event": "COMMENT", "body": "b", "commit_id": pull["head"]["sha"], "comments": [line]});
    let review = maintainer.post(&format!("{path}/reviews"), review).await.ok();
    let wrong = json!({"event": "COMMENT", "body": "b", "comments": [{"path": "none", "line": 1, "body": "b"}]});
    maintainer.post(&format!("{path}/reviews"), wrong).await;
    let line = json!({"body": "b", "commit_id": pull["head"]["sha"], "path": "notes.txt", "line": 1, "side": "RIGHT"});
    let line = maintainer.post(&format!("{path}/comments"), line).await.created();
    let whole = json!({"body": "b", "commit_id": pull["head"]["sha"], "path": "notes.txt", "subject_type": "file"});
    maintainer.post(&format!("{path}/comments"), whole).await.created();
    bot.post(&format!("{path}/comments/{}/replies", line["id"]), json!({"body": "r"})).await.created();
    maintainer.patch(&format!("{pulls}/comments/{}", line["id"]), json!({"body": "n"})).await.ok();
    maintainer.get(&format!("{pulls}/comments/{}", line["id"])).await.ok();
    let pending = maintainer.post(&format!("{path}/reviews"), json!({"body": "p"})).await.ok();
    let hand_in = json!({"event": "APPROVE"});
    maintainer.post(&format!("{path}/reviews/{}/events", pending["id"]), hand_in).await.ok();
    for tail in ["", "/files", "/commits", "/reviews", "/comments"] {
        bot.get(&format!("{path}{tail}")).await.ok();
    }
    for tail in ["", "/comments"] {
        bot.get(&format!("{path}/reviews/{}{tail}", review["id"])).await.ok();
    }
    for query in ["?head=acme:notes&base=main&state=open", "/comments?since=2020-01-01T00:00:00Z"] {
        bot.get(&format!("{pulls}{query}")).await.ok();
    }
    maintainer.put(&format!("{path}/merge"), json!({"merge_method": "merge", "commit_title": "m"})).await.ok();
    bot.get(&path).await.ok();
}

fn description() -> Description {
    Description::from_env().unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn requests_and_answers_are_as_described() {
    let description = description();
    let world = World::start().await;
    everything(&world).await;
    let exchanges = world.stand_in.exchanges();
    let complaints = description.complaints(&exchanges);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    let mut covered: Vec<_> =
        exchanges.iter().filter_map(|one| description.operation(&one.method, &one.path)).collect();
    covered.sort();
    covered.dedup();
    assert!(covered.len() >= 70, "{} operations: {covered:#?}", covered.len());
}

#[test]
fn a_wrong_exchange_is_noticed() {
    let description = description();
    let exchange = |method: &str, path: &str, status, request, response| Exchange {
        method: method.into(),
        path: path.into(),
        query: String::new(),
        request,
        status,
        content_type: None,
        response,
    };
    let path = "/repos/acme/greeter/issues/1/comments";
    for (wrong, word) in [
        (exchange("POST", path, 201, Some(json!({"text": "x"})), None), "\"body\" is a required property"),
        (exchange("POST", path, 201, Some(json!({"body": "x", "boddy": "y"})), None), "`boddy` does not exist"),
        (exchange("GET", path, 200, None, Some(json!([{"id": "one"}]))), "answer/0/id"),
        (exchange("GET", "/repos/acme/greeter/nothing", 200, None, None), "no such operation"),
        (Exchange { query: "sinse=x".into(), ..exchange("GET", path, 200, None, Some(json!([]))) }, "`sinse`"),
    ] {
        let complaints = description.check(&wrong).join("\n");
        assert!(complaints.contains(word), "{word}: {complaints}");
    }
}
