//! From a verdict to its effects: what lies in the database afterwards.

use chrono::{TimeDelta, Utc};
use domain::{
    ids::{Attempt, RunId},
    run::{Outcome, Step},
    triggers::VerdictKind,
};
use serde_json::{Value, json};
use store::{
    CommandKind, attempts, audit,
    checkpoints::{self, Checkpoint},
    commands::About,
    deliveries, repositories, repository_events,
    runs::{self, End},
    storms, testing,
};

use crate::{
    events::{self, closed, comment, labeled, unlabeled},
    world::World,
};

fn run_of(answer: &Value) -> RunId {
    answer["run"].as_str().unwrap_or_else(|| panic!("{answer}")).parse().unwrap()
}

async fn kinds(world: &World, run: RunId) -> Vec<CommandKind> {
    world.commands(run).await.iter().map(|command| command.kind).collect()
}

async fn finish(world: &World, run: RunId) {
    let end = End { attempt: Attempt::FIRST, outcome: Outcome::NoChange, cause: "Nothing to do.", now: Utc::now() };
    assert!(runs::finish(&mut world.store().acquire().await.unwrap(), run, end).await.unwrap());
}

#[tokio::test]
async fn a_label_starts_a_run_with_everything_that_belongs_to_it() {
    let world = World::new().await;
    let body = labeled(7, "run:dev", 3);
    let answer = world.send("issues", "guid", &body).await;
    assert_eq!(answer["verdict"], "started");
    let run = run_of(&answer);
    let mut conn = world.store().acquire().await.unwrap();
    let row = runs::get(&mut conn, run).await.unwrap();
    assert_eq!((row.subject.number, row.agent.as_str(), row.subject_title.as_str()), (7, "dev", "The test fails"));
    assert!(row.deadline_at.is_some());
    assert!(attempts::get(&mut conn, run, Attempt::FIRST).await.unwrap().finished_at.is_none());
    let delivery = deliveries::list_for_run(&mut conn, run).await.unwrap().remove(0);
    assert_eq!(
        (delivery.verdict, delivery.reason.as_str()),
        (VerdictKind::Started, answer["reason"].as_str().unwrap())
    );
    let payload = deliveries::payload(&mut conn, delivery.id).await.unwrap().unwrap();
    assert_eq!(payload, body.to_string().as_bytes());
    let events = audit::list_for_run(&mut conn, run).await.unwrap();
    assert_eq!((events.len(), events[0].kind.as_str(), events[0].actor.as_str()), (1, "run_requested", "anna"));
    assert_eq!(events[0].delivery, Some(delivery.id));
}

#[tokio::test]
async fn a_label_that_starts_nothing_says_why() {
    let world = World::new().await;
    let answer = world.send("issues", "guid", &labeled(1, "bug", 0)).await;
    assert_eq!(answer["verdict"], "no_rule");
    assert_eq!(answer["reason"], "label `bug` starts nothing in this project");
    let mut elsewhere = labeled(1, "run:dev", 0);
    elsewhere["repository"]["id"] = json!(5);
    let answer = world.send("issues", "guid-2", &elsewhere).await;
    assert_eq!((answer["verdict"].clone(), answer["run"].clone()), (json!("repository_unknown"), Value::Null));
}

#[tokio::test]
async fn taking_the_label_off_or_closing_cancels_at_once() {
    let world = World::new().await;
    for (number, event) in [(1, unlabeled(1, "run:dev", 5)), (2, closed(2, 5))] {
        let run = run_of(&world.send("issues", &format!("start-{number}"), &labeled(number, "run:dev", 0)).await);
        let answer = world.send("issues", &format!("end-{number}"), &event).await;
        assert_eq!((answer["verdict"].clone(), run_of(&answer)), (json!("signalled"), run));
        // The engine never saw the start: whether the start is dropped already or not, nothing stands between the two.
        assert_eq!(kinds(&world, run).await, [CommandKind::Start, CommandKind::Cancel]);
        let cancel = &world.commands(run).await[1];
        assert!(cancel.payload["by"].as_str().unwrap().starts_with("@anna ("), "{:?}", cancel.payload);
        let attempt = attempts::get(&mut world.store().acquire().await.unwrap(), run, Attempt::FIRST).await.unwrap();
        assert!(attempt.cancel_requested_at.is_some());
    }
}

#[tokio::test]
async fn a_cancel_command_by_somebody_else_is_a_signal_since_its_writer_is_asked_for_their_rights() {
    let world = World::new().await;
    let run = run_of(&world.send("issues", "start", &labeled(1, "run:dev", 0)).await);
    let mut cancel = comment(1, 900, "/cancel", 5);
    let bert = events::sender((12, "bert"));
    (cancel["sender"], cancel["comment"]["user"]) = (bert.clone(), bert);
    let answer = world.send("issue_comment", "cancel", &cancel).await;
    assert_eq!((answer["verdict"].clone(), run_of(&answer)), (json!("signalled"), run));
    let commands = world.commands(run).await;
    assert_eq!(commands[1].name.as_deref(), Some("cancel_requested"));
    assert_eq!(commands[1].payload, json!({ "by": "bert", "by_id": 12, "source": "wrote `/cancel`" }));
    let attempt = attempts::get(&mut world.store().acquire().await.unwrap(), run, Attempt::FIRST).await.unwrap();
    assert_eq!(attempt.cancel_requested_at, None);
}

#[tokio::test]
async fn a_cancel_command_by_who_asked_for_the_run_cancels_at_once() {
    let world = World::new().await;
    let run = run_of(&world.send("issues", "start", &labeled(1, "run:dev", 0)).await);
    let answer = world.send("issue_comment", "cancel", &comment(1, 900, "/cancel", 5)).await;
    assert_eq!((answer["verdict"].clone(), run_of(&answer)), (json!("signalled"), run));
    assert_eq!(kinds(&world, run).await, [CommandKind::Start, CommandKind::Cancel]);
    let attempt = attempts::get(&mut world.store().acquire().await.unwrap(), run, Attempt::FIRST).await.unwrap();
    assert!(attempt.cancel_requested_at.is_some());
}

#[tokio::test]
async fn a_cancel_that_comes_first_meets_its_start() {
    let world = World::new().await;
    let early = world.send("issue_comment", "cancel", &comment(1, 900, "/cancel", 5)).await;
    assert_eq!(early["verdict"], "nothing_to_cancel");
    let run = run_of(&world.send("issues", "start", &labeled(1, "run:dev", 0)).await);
    assert_eq!(kinds(&world, run).await, [CommandKind::Start, CommandKind::Signal]);

    world.send("issues", "off", &unlabeled(2, "run:dev", 5)).await;
    let held = world.send("issues", "on", &labeled(2, "run:dev", 0)).await;
    assert_eq!((held["verdict"].clone(), held["run"].clone()), (json!("cancelled_before_start"), Value::Null));
    let later = world.send("issues", "on-again", &labeled(2, "run:dev", 9)).await;
    assert_eq!(later["verdict"], "started");
}

#[tokio::test]
async fn a_retry_begins_a_new_attempt_from_its_step() {
    let world = World::new().await;
    let run = run_of(&world.send("issues", "start", &labeled(1, "run:dev", 0)).await);
    testing::has_reported(world.store(), run).await.unwrap();
    finish(&world, run).await;
    let answer = world.send("issue_comment", "retry", &comment(1, 901, "/retry from publish", 60)).await;
    assert_eq!((answer["verdict"].clone(), run_of(&answer)), (json!("started"), run), "{answer}");
    let second = world.commands(run).await.pop().unwrap();
    assert_eq!(second.kind, CommandKind::Start);
    assert!(matches!(second.about, About::Run(_, Attempt(2))), "{second:?}");
    assert_eq!(second.workflow_id, format!("test:agent-run:{run}:2"));
    assert_eq!(second.payload["from_step"], "publish");
    let attempt = attempts::get(&mut world.store().acquire().await.unwrap(), run, Attempt(2)).await.unwrap();
    assert_eq!(attempt.from_step, Some(Step::Publish));
    let other_hook = world.send("issue_comment", "retry-b", &comment(1, 901, "/retry from publish", 60)).await;
    assert_eq!((other_hook["verdict"].clone(), run_of(&other_hook)), (json!("duplicate"), run));
}

#[tokio::test]
async fn the_repository_is_followed() {
    let world = World::new().await;
    let mut repository = events::repository();
    (repository["name"], repository["full_name"]) = (json!("Renamed"), json!("Codertocat/Renamed"));
    (repository["archived"], repository["default_branch"]) = (json!(true), json!("trunk"));
    let event = json!({ "action": "renamed", "repository": repository, "sender": events::sender(events::ANNA) });
    let answer = world.send("repository", "renamed", &event).await;
    assert_eq!(answer["verdict"], "repository_updated");
    let mut conn = world.store().acquire().await.unwrap();
    let row = repositories::get(&mut conn, world.repository).await.unwrap();
    assert_eq!((row.full_name().as_str(), row.archived), ("Codertocat/Renamed", true));
    assert_eq!(row.default_branch, "trunk");
    let mut event = labeled(1, "run:dev", 0);
    event["repository"] = repository;
    assert_eq!(world.send("issues", "archived", &event).await["verdict"], "archived");
}

#[tokio::test]
async fn a_push_to_the_default_branch_asks_for_the_settings() {
    let world = World::new().await;
    let sha = "a".repeat(40);
    let push = json!({
        "ref": "refs/heads/master", "before": "b".repeat(40), "after": sha, "deleted": false,
        "repository": events::repository(), "sender": events::sender(events::ANNA)
    });
    assert_eq!(world.send("push", "push", &push).await["verdict"], "config_refresh");
    let mut conn = world.store().acquire().await.unwrap();
    let wanting = repository_events::wanting_config(&mut conn).await.unwrap();
    assert_eq!(wanting, [(world.repository, sha.clone())]);
    repositories::set_config(&mut conn, world.repository, None, &sha, None).await.unwrap();
    assert!(repository_events::wanting_config(&mut conn).await.unwrap().is_empty());
}

#[tokio::test]
async fn text_that_postgres_does_not_take_is_no_trouble() {
    let world = World::new().await;
    let mut event = labeled(1, "run:dev", 0);
    event["issue"]["title"] = json!("a\0b");
    event["sender"]["login"] = json!("an\0na");
    event["action"] = json!("labeled");
    let answer = world.send("issues", "guid", &event).await;
    assert_eq!(answer["verdict"], "started", "{answer}");
    let odd =
        world.send("issues", "guid-2", &json!({ "action": "\0", "repository": { "id": -1, "name": "\0" } })).await;
    assert!(!odd["reason"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn going_on_takes_the_newest_kept_work_or_says_that_there_is_none() {
    let world = World::new().await;
    let run = run_of(&world.send("issues", "start", &labeled(1, "run:dev", 0)).await);
    testing::has_reported(world.store(), run).await.unwrap();
    finish(&world, run).await;
    let answer = world.send("issue_comment", "first", &comment(1, 1, "/retry continue", 10)).await;
    assert_eq!(answer["verdict"], "started");
    assert!(answer["reason"].as_str().unwrap().ends_with("begins anew, since none of its work was kept"), "{answer}");
    let mut conn = world.store().acquire().await.unwrap();
    let second = attempts::get(&mut conn, run, Attempt(2)).await.unwrap();
    assert_eq!((second.from_step, second.asked_to_continue, second.continues), (Some(Step::Launch), true, None));

    let (work, _) = checkpoints::new_blobs(run, Attempt(2));
    let kept = Checkpoint { attempt: Attempt(2), seq: 1, at: Utc::now(), work, thread: None, bytes: 1 };
    checkpoints::record(&mut conn, run, &kept).await.unwrap();
    let end = End { attempt: Attempt(2), outcome: Outcome::Lost, cause: "Killed.", now: Utc::now() };
    assert!(runs::finish(&mut conn, run, end).await.unwrap());
    let answer = world.send("issue_comment", "second", &comment(1, 2, "/retry continue", 20)).await;
    assert!(answer["reason"].as_str().unwrap().ends_with("(attempt 2)"), "{answer}");
    let third = attempts::get(&mut conn, run, Attempt(3)).await.unwrap();
    assert_eq!((third.from_step, third.continues), (Some(Step::Launch), Some(Attempt(2))));
    let events = audit::list_for_run(&mut conn, run).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.kind == "retry_requested").count(), 2);
    assert_eq!(events.last().unwrap().detail["continues"], 2);
}

/// A comment of a bot, which answers whatever was written before.
fn by_bot(id: i64) -> Value {
    let mut body = comment(11, id, "/run planner", u32::try_from(id).unwrap());
    body["sender"] = json!({ "id": 900, "login": "helper[bot]", "type": "Bot" });
    body
}

#[tokio::test]
async fn two_bots_that_answer_each_other_stop_at_three_until_a_person_speaks() {
    let world = World::new().await;
    let mut chain = Vec::new();
    for id in 1..=3 {
        let answer = world.send("issue_comment", &format!("bot-{id}"), &by_bot(id)).await;
        assert_eq!(answer["verdict"], "started", "{answer}");
        let run = run_of(&answer);
        let row = runs::get(&mut world.store().acquire().await.unwrap(), run).await.unwrap();
        assert_eq!((row.machine_depth, &row.cause_chain), (u32::try_from(id).unwrap(), &chain));
        finish(&world, run).await;
        chain.push(run);
    }
    for id in 4..=5 {
        let answer = world.send("issue_comment", &format!("bot-{id}"), &by_bot(id)).await;
        assert_eq!(answer["verdict"], "loop_guard", "{answer}");
    }
    let storms = storms::since(&mut world.store().acquire().await.unwrap(), Utc::now() - TimeDelta::hours(1)).await;
    let storm = storms.unwrap().remove(0);
    assert_eq!((storm.subject.number, storm.held_back), (11, 2), "{storm:?}");
    assert!(storm.reason.contains("`limits.chain_depth`"), "{storm:?}");

    let answer = world.send("issue_comment", "person", &comment(11, 6, "/run planner", 6)).await;
    assert_eq!(answer["verdict"], "started", "{answer}");
    let row = runs::get(&mut world.store().acquire().await.unwrap(), run_of(&answer)).await.unwrap();
    assert_eq!(row.machine_depth, 0, "a person begins anew");
}
