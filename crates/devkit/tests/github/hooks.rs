//! Webhooks: what is sent, how it is signed, and the log.

use devkit::github::StandIn;
use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    receiver::{PATIENCE, Received, Receiver, SECRET},
    world::{REPOSITORY, World},
};

const HOOKS: &str = "/repos/acme/greeter/hooks";

#[tokio::test]
async fn each_change_sends_its_event_signed_and_in_order() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let hook = world.stand_in.create_hook(REPOSITORY, &receiver.url, SECRET, &["*"]).unwrap();
    let stand_in = &world.stand_in;
    let issue = stand_in.create_issue("writer", REPOSITORY, "New", "text").unwrap().number;
    stand_in.label_issue_with("writer", REPOSITORY, issue, &["bug", "run:dev"]).unwrap();
    stand_in.label_issue("writer", REPOSITORY, issue, "bug").unwrap();
    stand_in.remove_label("maintainer", REPOSITORY, issue, "run:dev").unwrap();
    let comment = stand_in.comment("outsider", REPOSITORY, issue, "/run dev").unwrap();
    stand_in.edit_comment("outsider", REPOSITORY, comment.id, "/run dev now").unwrap();
    stand_in.delete_comment("outsider", REPOSITORY, comment.id).unwrap();
    stand_in.close_issue("writer", REPOSITORY, issue).unwrap();
    stand_in.reopen_issue("writer", REPOSITORY, issue).unwrap();
    let events = receiver.wait_for(9).await;
    let names: Vec<_> = events.iter().map(Received::name).collect();
    assert_eq!(
        names,
        [
            "issues.opened",
            "issues.labeled",
            "issues.labeled",
            "issues.unlabeled",
            "issue_comment.created",
            "issue_comment.edited",
            "issue_comment.deleted",
            "issues.closed",
            "issues.reopened"
        ]
    );
    assert!(receiver.all().iter().all(Received::is_signed));
    let labeled = &events[2].payload;
    assert_eq!((&labeled["label"]["name"], &labeled["sender"]["login"]), (&json!("run:dev"), &json!("writer")));
    for event in &events[1..3] {
        let on = event.payload["issue"]["labels"].as_array().unwrap();
        let on: Vec<_> = on.iter().map(|label| label["name"].as_str().unwrap()).collect();
        assert_eq!(on, ["bug", "run:dev"], "both were put on at once");
    }
    assert_eq!(labeled["repository"]["full_name"], REPOSITORY);
    assert_eq!(labeled["organization"]["login"], "acme");
    assert_eq!(events[5].payload["changes"]["body"]["from"], "/run dev");
    let header = |name| events[0].header(name);
    assert_eq!(header("x-github-hook-id"), hook.id.to_string());
    assert_eq!(header("x-github-hook-installation-target-type"), "repository");
    assert_eq!(header("x-github-hook-installation-target-id"), stand_in.repo_id(REPOSITORY).unwrap().to_string());
    assert!(header("user-agent").starts_with("GitHub-Hookshot/"));
    assert_eq!(header("content-type"), "application/json");
}

#[tokio::test]
async fn pull_requests_reviews_statuses_and_settings_send_theirs() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let wanted = [
        "pull_request",
        "pull_request_review",
        "pull_request_review_comment",
        "status",
        "repository",
        "issue_comment",
        "issues",
    ];
    world.stand_in.create_hook(REPOSITORY, &receiver.url, SECRET, &wanted).unwrap();
    let number = world.pull("notes").await;
    let stand_in = &world.stand_in;
    stand_in.label_issue("writer", REPOSITORY, number, "need:reviewer").unwrap();
    let note = devkit::github::LineNote { path: "notes.txt".into(), line: 1, body: "Hm".into() };
    let review = ("REQUEST_CHANGES", "Please not");
    stand_in.review("maintainer", (REPOSITORY, number), review, vec![note]).await.unwrap();
    stand_in.comment("writer", REPOSITORY, number, "Why?").unwrap();
    let sha = stand_in.refs(REPOSITORY).await.unwrap()["refs/heads/notes"].clone();
    let status = json!({"state": "pending", "context": "codex-k8s/run"});
    world.person("codex-bot").post(&format!("/repos/acme/greeter/statuses/{sha}"), status).await.created();
    stand_in.merge_pull("maintainer", REPOSITORY, number).await.unwrap();
    stand_in.archive_repo("maintainer", REPOSITORY, true).await.unwrap();
    let events = receiver.wait_for(8).await;
    let names: Vec<_> = events.iter().map(Received::name).collect();
    assert_eq!(
        names,
        [
            "pull_request.opened",
            "pull_request.labeled",
            "pull_request_review.submitted",
            "pull_request_review_comment.created",
            "issue_comment.created",
            "status",
            "pull_request.closed",
            "repository.archived"
        ]
    );
    assert_eq!(events[2].payload["review"]["state"], "changes_requested");
    assert!(events[4].payload["issue"]["pull_request"].is_object());
    assert_eq!(events[5].payload["branches"][0]["name"], "notes");
    assert_eq!(events[6].payload["pull_request"]["merged"], true);
}

#[tokio::test]
async fn a_hook_is_pinged_logged_and_redelivered_by_hand_only() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    receiver.answer_with(503);
    let maintainer = world.person("maintainer");
    let config = json!({"url": receiver.url, "content_type": "json", "secret": SECRET});
    let hook = maintainer.post(HOOKS, json!({"name": "web", "config": config, "events": ["issues"]})).await.created();
    assert_eq!(hook["config"]["secret"], "********");
    let id = hook["id"].as_u64().unwrap();
    world.stand_in.comment("writer", REPOSITORY, 1, "not wanted").unwrap();
    world.stand_in.label_issue("writer", REPOSITORY, 1, "bug").unwrap();
    receiver.wait_for(1).await;
    let path = format!("{HOOKS}/{id}/deliveries");
    let log = settled(&world, id, 2).await;
    assert_eq!(
        (&log[0]["event"], &log[0]["action"], &log[0]["status_code"]),
        (&json!("issues"), &json!("labeled"), &json!(503))
    );
    assert_eq!((&log[1]["event"], &log[1]["action"]), (&json!("ping"), &Value::Null));
    let one = maintainer.get(&format!("{path}/{}", log[0]["id"])).await.ok();
    assert_eq!(one["request"]["payload"]["label"]["name"], "bug");
    assert_eq!(one["request"]["headers"]["X-GitHub-Delivery"], log[0]["guid"]);
    receiver.answer_with(202);
    let again = maintainer.post(&format!("{path}/{}/attempts", log[0]["id"]), json!({})).await;
    again.expect(StatusCode::ACCEPTED);
    let twice = receiver.wait_for(2).await;
    assert_eq!(twice[0].header("x-github-delivery"), twice[1].header("x-github-delivery"));
    assert_eq!(twice[0].raw, twice[1].raw);
    let log = settled(&world, id, 3).await;
    assert_eq!((&log[0]["redelivery"], &log[0]["status"]), (&json!(true), &json!("OK")));
    assert_eq!(log[0]["guid"], log[1]["guid"]);
    assert_ne!(log[0]["id"], log[1]["id"]);
}

/// The log once that many attempts are over.
async fn settled(world: &World, hook: u64, count: usize) -> Value {
    let over = |stand_in: &StandIn| {
        stand_in.deliveries(hook).iter().filter(|delivery| delivery.delivered_at.is_some()).count() >= count
    };
    tokio::time::timeout(PATIENCE, world.stand_in.wait_until(over)).await.unwrap();
    world.person("maintainer").get(&format!("{HOOKS}/{hook}/deliveries")).await.ok()
}

#[tokio::test]
async fn the_log_comes_in_pages_with_a_cursor() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let hook = world.stand_in.create_hook(REPOSITORY, &receiver.url, SECRET, &["issue_comment"]).unwrap();
    for number in 0..3 {
        world.stand_in.comment("writer", REPOSITORY, 1, &format!("{number}")).unwrap();
    }
    let path = format!("{HOOKS}/{}/deliveries", hook.id);
    settled(&world, hook.id, 4).await;
    let first = world.person("maintainer").get(&format!("{path}?per_page=3")).await;
    let next = first.link("next").unwrap();
    let next = next.strip_prefix(world.stand_in.url()).unwrap();
    let rest = world.person("maintainer").get(next).await;
    assert_eq!(rest.body.as_array().unwrap().len(), 1);
    assert_eq!(rest.body[0]["event"], "ping");
    assert_eq!(rest.link("next"), None);
}

#[tokio::test]
async fn two_hooks_share_a_guid_unless_told_otherwise() {
    let world = World::start().await;
    let (one, other) = (Receiver::start().await, Receiver::start().await);
    for receiver in [&one, &other] {
        world.stand_in.create_hook(REPOSITORY, &receiver.url, SECRET, &["issues"]).unwrap();
    }
    let guid = |received: &Received| received.header("x-github-delivery").to_owned();
    world.stand_in.label_issue("writer", REPOSITORY, 1, "bug").unwrap();
    assert_eq!(guid(&one.wait_for(1).await[0]), guid(&other.wait_for(1).await[0]));
    world.stand_in.knob(devkit::github::Knob::DistinctGuids { distinct: true }).await.unwrap();
    world.stand_in.remove_label("writer", REPOSITORY, 1, "bug").unwrap();
    assert_ne!(guid(&one.wait_for(2).await[1]), guid(&other.wait_for(2).await[1]));
}

#[tokio::test]
async fn a_hook_is_changed_silenced_and_removed() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let maintainer = world.person("maintainer");
    let config = json!({"url": receiver.url, "content_type": "json", "secret": SECRET});
    let new = json!({"config": config, "events": ["push"]});
    let hook = maintainer.post(HOOKS, new.clone()).await.created();
    maintainer.post(HOOKS, new).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    maintainer.post(HOOKS, json!({"config": {"url": "nonsense"}})).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    let path = format!("{HOOKS}/{}", hook["id"]);
    let changed = maintainer.patch(&path, json!({"active": false, "add_events": ["issues"]})).await.ok();
    assert_eq!(changed["events"], json!(["push", "issues"]));
    world.stand_in.label_issue("writer", REPOSITORY, 1, "bug").unwrap();
    maintainer.patch(&path, json!({"active": true})).await.ok();
    world.stand_in.remove_label("writer", REPOSITORY, 1, "bug").unwrap();
    assert_eq!(receiver.wait_for(1).await[0].name(), "issues.unlabeled");
    maintainer.post(&format!("{path}/pings"), json!({})).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(maintainer.get(HOOKS).await.ok().as_array().unwrap().len(), 1);
    maintainer.delete(&path).await.expect(StatusCode::NO_CONTENT);
    maintainer.get(&path).await.expect(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_receiver_that_keeps_silent_is_given_up_after_ten_seconds_and_not_asked_again() {
    let world = World::start().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let connections = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((connection, _)) = silent.accept().await {
            open.push(connection);
            if open.len() == 2 {
                break;
            }
        }
        open.len()
    });
    let hook = world.stand_in.create_hook(REPOSITORY, &url, SECRET, &["issues"]).unwrap();
    let started = std::time::Instant::now();
    let log = settled(&world, hook.id, 1).await;
    assert!(started.elapsed().as_secs() >= 9, "{:?}", started.elapsed());
    assert_eq!((&log[0]["status"], &log[0]["status_code"]), (&json!("timed out"), &json!(504)));
    // The next connection belongs to the next event: nothing was tried again in between.
    world.stand_in.label_issue("writer", REPOSITORY, 1, "bug").unwrap();
    assert_eq!(connections.await.unwrap(), 2);
    assert_eq!(world.stand_in.deliveries(hook.id).len(), 2);
}
