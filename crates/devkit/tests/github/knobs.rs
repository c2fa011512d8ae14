//! Trouble on demand.

use devkit::github::{DeliveryEffect, DeliveryFault, Effect, Fault, Knob};
use http::StatusCode;
use serde_json::json;

use crate::{
    receiver::{PATIENCE, Received, Receiver, SECRET},
    world::{REPOSITORY, World, git},
};

const COMMENTS: &str = "/repos/acme/greeter/issues/1/comments";

fn fault(effect: Effect) -> Fault {
    Fault { method: Some("POST".into()), path: Some("/repos/*/comments".into()), times: 1, effect }
}

#[tokio::test]
async fn an_error_comes_before_or_after_the_write() {
    let world = World::start().await;
    let bot = world.person("codex-bot");
    let stored = || world.stand_in.comments(REPOSITORY, 1).unwrap().len();
    world.stand_in.fail(fault(Effect::Error(502)));
    bot.post(COMMENTS, json!({"body": "one"})).await.expect(StatusCode::BAD_GATEWAY);
    assert_eq!(stored(), 0);
    world.stand_in.fail(fault(Effect::ErrorAfter(502)));
    bot.get(COMMENTS).await.ok();
    bot.post(COMMENTS, json!({"body": "one"})).await.expect(StatusCode::BAD_GATEWAY);
    assert_eq!(stored(), 1);
    bot.post(COMMENTS, json!({"body": "two"})).await.created();
}

#[tokio::test]
async fn the_secondary_limit_says_when_to_come_back() {
    let world = World::start().await;
    let bot = world.person("codex-bot");
    for status in [403, 429] {
        world.stand_in.fail(fault(Effect::SecondaryLimit { status, retry_after: 7 }));
        let limited = bot.post(COMMENTS, json!({"body": "one"})).await;
        assert_eq!((limited.status, limited.headers["retry-after"].to_str().unwrap()), (status, "7"));
        assert!(limited.body["message"].as_str().unwrap().contains("secondary rate limit"));
    }
    assert!(world.stand_in.comments(REPOSITORY, 1).unwrap().is_empty());
}

#[tokio::test]
async fn latency_delays_one_request() {
    let world = World::start().await;
    world.stand_in.fail(Fault { method: None, path: None, times: 1, effect: Effect::Latency(150) });
    let started = std::time::Instant::now();
    world.person("writer").get("/user").await.ok();
    assert!(started.elapsed().as_millis() >= 150);
}

#[tokio::test]
async fn deliveries_are_dropped_doubled_and_reordered() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let hook = world.stand_in.create_hook(REPOSITORY, &receiver.url, SECRET, &["issue_comment"]).unwrap();
    let next = |times, effect| {
        world.stand_in.fail_deliveries(DeliveryFault { event: Some("issue_comment".into()), times, effect });
    };
    let say = |body: &str| world.stand_in.comment("writer", REPOSITORY, 1, body).unwrap();
    next(1, DeliveryEffect::Drop);
    say("dropped");
    say("sent");
    receiver.wait_for(1).await;
    next(1, DeliveryEffect::Double);
    say("doubled");
    receiver.wait_for(3).await;
    next(2, DeliveryEffect::Reorder);
    say("first");
    say("second");
    let all = receiver.wait_for(5).await;
    let bodies: Vec<_> = all.iter().map(|one| one.payload["comment"]["body"].as_str().unwrap()).collect();
    assert_eq!(bodies, ["sent", "doubled", "doubled", "second", "first"]);
    assert_eq!(all[1].header("x-github-delivery"), all[2].header("x-github-delivery"));
    let log = world.stand_in.deliveries(hook.id);
    let dropped = log.iter().find(|delivery| delivery.payload.contains("dropped")).unwrap();
    assert_eq!((dropped.status_code, dropped.delivered_at.is_some()), (502, true));
    world.stand_in.redeliver(REPOSITORY, hook.id, dropped.id).unwrap();
    assert_eq!(receiver.wait_for(6).await[5].payload["comment"]["body"], "dropped");
}

#[tokio::test]
async fn hooks_that_are_offline_miss_what_happens() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    world.stand_in.create_hook(REPOSITORY, &receiver.url, SECRET, &["issues"]).unwrap();
    let set = |offline| world.stand_in.knob(Knob::HooksOffline { offline });
    set(true).await.unwrap();
    let hook = world.stand_in.create_hook(REPOSITORY, "http://127.0.0.1:9/never", SECRET, &["issues"]).unwrap();
    world.stand_in.label_issue("writer", REPOSITORY, 1, "bug").unwrap();
    let is_over = |stand_in: &devkit::github::StandIn| {
        stand_in.deliveries(hook.id).iter().all(|delivery| delivery.delivered_at.is_some())
    };
    tokio::time::timeout(PATIENCE, world.stand_in.wait_until(is_over)).await.unwrap();
    set(false).await.unwrap();
    world.stand_in.remove_label("writer", REPOSITORY, 1, "bug").unwrap();
    let seen: Vec<_> = receiver.wait_for(1).await.iter().map(Received::name).collect();
    assert_eq!(seen.last().unwrap(), "issues.unlabeled");
}

#[tokio::test]
async fn a_push_can_lose_a_race() {
    let world = World::start().await;
    let url = world.clone_url("codex-bot", REPOSITORY);
    git(world.data.path(), &["clone", "--quiet", &url, "clone"]).await.unwrap();
    let clone = world.folder("clone");
    let head = git(&clone, &["rev-parse", "HEAD"]).await.unwrap();
    for branch in ["main", "codex/1-names"] {
        git(&clone, &["checkout", "--quiet", "-B", branch, &head]).await.unwrap();
        git(&clone, &["commit", "--quiet", "--allow-empty", "-m", "Mine"]).await.unwrap();
        let race = Knob::PushLosesRace { repository: REPOSITORY.into(), by: "writer".into(), times: 1 };
        world.stand_in.knob(race).await.unwrap();
        let lost = git(&clone, &["push", "--quiet", "origin", branch]).await.unwrap_err();
        assert!(lost.contains("rejected"), "{lost}");
        git(&clone, &["fetch", "--quiet", "origin", branch]).await.unwrap();
        git(&clone, &["rebase", "--quiet", "FETCH_HEAD"]).await.unwrap();
        git(&clone, &["push", "--quiet", "origin", branch]).await.unwrap();
        let log = git(&clone, &["log", "--format=%s", "-2"]).await.unwrap();
        assert!(log.contains("Mine") && log.contains("Add a note") || branch == "main", "{log}");
    }
}

#[tokio::test]
async fn a_renamed_repository_redirects() {
    let world = World::start().await;
    let maintainer = world.person("maintainer");
    let id = world.stand_in.repo_id(REPOSITORY).unwrap();
    maintainer.patch("/repos/acme/greeter", json!({"name": "welcomer"})).await.ok();
    let got = maintainer.get("/repos/acme/greeter/issues/1?x=y").await;
    assert_eq!(got.status, 301);
    let target = format!("{}/repositories/{id}/issues/1", world.stand_in.url());
    assert_eq!(got.headers["location"].to_str().unwrap(), format!("{target}?x=y"));
    let posted = maintainer.post(COMMENTS, json!({"body": "hello"})).await;
    assert_eq!(posted.status, 307);
    let target = posted.headers["location"].to_str().unwrap().to_owned();
    let target = target.strip_prefix(world.stand_in.url()).unwrap();
    maintainer.post(target, json!({"body": "hello"})).await.created();
    assert_eq!(world.stand_in.comments("acme/welcomer", 1).unwrap().len(), 1);
    let url = world.clone_url("writer", REPOSITORY);
    git(world.data.path(), &["clone", "--quiet", &url, "clone"]).await.unwrap();
    git(&world.folder("clone"), &["commit", "--quiet", "--allow-empty", "-m", "Still here"]).await.unwrap();
    git(&world.folder("clone"), &["push", "--quiet", "origin", "main"]).await.unwrap();
}

#[tokio::test]
async fn knobs_can_be_turned_from_another_process() {
    let world = World::start().await;
    let nobody = world.nobody();
    let knob = json!({"knob": "fault", "path": "/user", "times": 1, "effect": {"error": 503}});
    nobody.post("/_standin/knobs", knob).await.expect(StatusCode::NO_CONTENT);
    world.person("writer").get("/user").await.expect(StatusCode::SERVICE_UNAVAILABLE);
    let knob = json!({"knob": "revoke_tokens", "login": "writer"});
    let token = world.stand_in.token("writer").unwrap();
    nobody.post("/_standin/knobs", knob).await.expect(StatusCode::NO_CONTENT);
    world.with_token(&token).get("/user").await.expect(StatusCode::UNAUTHORIZED);
    nobody.post("/_standin/knobs", json!({"knob": "none"})).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    let knob = json!({"knob": "rename_repository", "repository": "acme/greeter", "name": "host"});
    nobody.post("/_standin/knobs", knob).await.expect(StatusCode::NO_CONTENT);
    world.stand_in.repo_id("acme/host").unwrap();
}
