//! Runs and deliveries, as staff see them, and what staff do to runs.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    event::{Sender, Subject, SubjectKind},
    ids::{Attempt, RepositoryId, RunId},
    job::{LogChunk, LogStream},
    run::Outcome,
    triggers::{BusinessKey, DeliverySource, Trigger, VerdictKind},
};
use reqwest::Method;
use serde_json::{Value, json};
use store::{
    commands,
    deliveries::{self, NewDelivery},
    log_archives, logs, members,
    repositories::{self, NewProject, NewRepository},
    runs::{self, End, NewRun, NewRunResult},
    testing,
};

use crate::world::{PROJECT, World};

/// A repository in the demo's project, and one in a project that only those who run the platform see.
pub async fn repositories(world: &World) -> (RepositoryId, RepositoryId) {
    let anybody = world.person("reader").await.id;
    let mut tx = world.store().begin().await.unwrap();
    let demo = members::project(&mut tx, PROJECT, anybody).await.unwrap().unwrap().id;
    let new = NewProject { slug: "secret", slots: 1, settings: json!({}), now: world.now() };
    let secret = repositories::insert_project(&mut tx, new).await.unwrap();
    let mut ids = Vec::new();
    for (project, forge_repo_id, name) in [(demo, 1, "greeter"), (secret, 2, "vault")] {
        let new = NewRepository {
            project,
            forge_repo_id,
            owner: "acme",
            name,
            default_branch: "main",
            private: false,
            archived: false,
            credential: None,
            now: world.now(),
        };
        ids.push(repositories::upsert_repository(&mut tx, new).await.unwrap());
    }
    tx.commit().await.unwrap();
    (ids[0], ids[1])
}

/// A run on an issue, accepted at this time.
pub async fn run(world: &World, repository: RepositoryId, number: i64, at: DateTime<Utc>) -> RunId {
    let mut tx = world.store().begin().await.unwrap();
    let project_id = repositories::get(&mut tx, repository).await.unwrap().project;
    let new = NewRun {
        repository_id: repository,
        project_id,
        subject: Subject { kind: SubjectKind::Issue, number },
        subject_title: if number % 2 == 0 { "Greet politely" } else { "Count to ten" },
        agent: &"dev".parse().unwrap(),
        trigger: &Trigger::Label { label: "run:dev".into(), at },
        business_key: &BusinessKey::by_hand(&format!("{repository}-{number}")),
        requested_by: &Sender { id: 7, login: "ada".into(), is_bot: false },
        instructions: "",
        cause_chain: &[],
        machine_depth: 0,
        deadline_at: at + TimeDelta::hours(1),
        now: at,
    };
    let NewRunResult::Started(run) = runs::insert(&mut tx, &new).await.unwrap() else { panic!("busy") };
    tx.commit().await.unwrap();
    run
}

pub async fn finish(world: &World, run: RunId, outcome: Outcome) {
    let mut conn = world.store().acquire().await.unwrap();
    let attempt = runs::get(&mut conn, run).await.unwrap().attempt;
    let end = End { attempt, outcome, cause: "The test said so.", now: world.now() };
    assert!(runs::finish(&mut conn, run, end).await.unwrap());
}

/// A run of the demo's project that has ended.
pub async fn ended_run(world: &World) -> RunId {
    let (greeter, _) = repositories(world).await;
    let id = run(world, greeter, 1, world.now()).await;
    finish(world, id, Outcome::Failed).await;
    id
}

fn ids(page: &Value) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn runs_are_listed_by_what_matters() {
    let world = World::start().await;
    let (greeter, vault) = repositories(&world).await;
    let begin = world.now() - TimeDelta::hours(10);
    let mut of_greeter = Vec::new();
    for number in 1..=5 {
        of_greeter.push(run(&world, greeter, number, begin + TimeDelta::minutes(number)).await.to_string());
    }
    let hidden = run(&world, vault, 1, begin + TimeDelta::minutes(30)).await.to_string();
    finish(&world, of_greeter[0].parse().unwrap(), Outcome::ChecksFailed).await;
    let newest_first: Vec<String> = of_greeter.iter().rev().cloned().collect();
    let (reader, admin) = (world.signed_in("reader").await, world.signed_in("admin").await);
    assert_eq!(ids(&reader.get("/api/v1/runs").await.ok()), newest_first);
    assert_eq!(ids(&admin.get("/api/v1/runs").await.ok())[0], hidden, "who runs the platform sees all");
    assert!(ids(&world.signed_in("outsider").await.get("/api/v1/runs").await.ok()).is_empty());
    let since = (begin + TimeDelta::minutes(4)).to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    for (query, expected) in [
        ("project=demo".to_owned(), newest_first.clone()),
        (format!("repository={greeter}"), newest_first.clone()),
        ("state=finished".to_owned(), vec![of_greeter[0].clone()]),
        ("outcome=checks_failed".to_owned(), vec![of_greeter[0].clone()]),
        ("outcome=lost".to_owned(), vec![]),
        ("agent=dev&requester=ADA".to_owned(), newest_first.clone()),
        ("agent=planner".to_owned(), vec![]),
        ("number=3".to_owned(), vec![of_greeter[2].clone()]),
        ("q=POLITE".to_owned(), vec![of_greeter[3].clone(), of_greeter[1].clone()]),
        (format!("since={since}"), vec![of_greeter[4].clone(), of_greeter[3].clone()]),
        (format!("until={since}&limit=2"), vec![of_greeter[2].clone(), of_greeter[1].clone()]),
    ] {
        assert_eq!(ids(&reader.get(&format!("/api/v1/runs?{query}")).await.ok()), expected, "{query}");
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = reader.get(&format!("/api/v1/runs?limit=2{cursor}")).await.ok();
        seen.extend(ids(&page));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, newest_first);
    reader.get("/api/v1/runs?project=secret").await.refused(404, "project_not_found");
    for query in ["state=none", "since=yesterday", "repository=x", "number=x"] {
        reader.get(&format!("/api/v1/runs?{query}")).await.refused(400, "query_invalid");
    }
}

#[tokio::test]
async fn a_run_tells_everything_to_those_who_may_see_it() {
    let world = World::start().await;
    let (greeter, vault) = repositories(&world).await;
    let (seen, hidden) = (run(&world, greeter, 2, world.now()).await, run(&world, vault, 1, world.now()).await);
    let reader = world.signed_in("reader").await;
    let detail = reader.get(&format!("/api/v1/runs/{seen}")).await.ok();
    assert_eq!(detail["run"]["repository"]["full_name"], "acme/greeter");
    assert_eq!(detail["run"]["subject"]["url"], format!("{}/acme/greeter/issues/2", world.stand_in.url()));
    assert_eq!((&detail["my_role"], &detail["run"]["trigger"]["kind"]), (&json!("read"), &json!("label")));
    assert_eq!((&detail["attempts"][0]["attempt"], &detail["waiting"]), (&json!(1), &Value::Null));
    reader.get(&format!("/api/v1/runs/{hidden}")).await.refused(404, "run_not_found");
    reader.get(&format!("/api/v1/runs/{}", uuid::Uuid::now_v7())).await.refused(404, "run_not_found");
    reader.get("/api/v1/runs/none").await.refused(404, "not_found");
    let tag = reader.get(&format!("/api/v1/runs/{seen}")).await.header("etag").to_owned();
    let again = reader.request(Method::GET, &format!("/api/v1/runs/{seen}")).header("if-none-match", tag);
    assert_eq!(reader.send(again).await.status, 304);
}

#[tokio::test]
async fn a_log_is_read_in_parts_wherever_it_lies() {
    let world = World::start().await;
    let (greeter, vault) = repositories(&world).await;
    let id = run(&world, greeter, 1, world.now()).await;
    let chunk = |seq| LogChunk { seq, at: world.now(), stream: LogStream::Codex, text: format!("line {seq}\n") };
    let chunks: Vec<LogChunk> = (0..25).map(chunk).collect();
    logs::append(&mut world.store().acquire().await.unwrap(), id, Attempt::FIRST, &chunks).await.unwrap();
    let reader = world.signed_in("reader").await;
    let path = format!("/api/v1/runs/{id}/attempts/1/log");
    let mut whole = Vec::new();
    for archived in [false, true] {
        if archived {
            finish(&world, id, Outcome::NoChange).await;
            log_archives::archive(world.store(), &world.blobs, id, Attempt::FIRST, world.now()).await.unwrap();
        }
        let (mut texts, mut from) = (Vec::new(), 0);
        loop {
            let page = reader.get(&format!("{path}?from={from}&limit=10")).await.ok();
            let part = page["chunks"].as_array().unwrap();
            texts.extend(part.iter().map(|chunk| chunk["text"].as_str().unwrap().to_owned()));
            from = page["next"].as_u64().unwrap();
            if part.len() < 10 {
                assert_eq!((from, &page["ended"]), (25, &json!(archived)));
                break;
            }
            assert_eq!(page["ended"], false);
        }
        assert_eq!(texts.len(), 25);
        whole.push(texts);
    }
    assert_eq!(whole[0], whole[1]);
    reader.get(&format!("/api/v1/runs/{id}/attempts/2/log")).await.refused(404, "run_not_found");
    reader.get(&format!("{path}?limit=0")).await.refused(400, "limit_invalid");
    let hidden = run(&world, vault, 1, world.now()).await;
    reader.get(&format!("/api/v1/runs/{hidden}/attempts/1/log")).await.refused(404, "run_not_found");
}

#[tokio::test]
async fn a_run_is_asked_to_end_once_and_by_those_who_may() {
    let world = World::start().await;
    let (greeter, vault) = repositories(&world).await;
    let (id, hidden) = (run(&world, greeter, 1, world.now()).await, run(&world, vault, 1, world.now()).await);
    let (reader, writer) = (world.signed_in("reader").await, world.signed_in("writer").await);
    let path = format!("/api/v1/runs/{id}/cancel");
    reader.post(&path, json!({})).await.refused(403, "role_missing");
    writer.post(&format!("/api/v1/runs/{hidden}/cancel"), json!({})).await.refused(404, "run_not_found");
    writer.post(&path, json!({"reason": "x".repeat(501)})).await.refused(400, "reason_invalid");
    let send = || {
        let request = writer.request(Method::POST, &path).header("idempotency-key", "k");
        writer.send(request.json(&json!({"reason": "wrong issue"})))
    };
    assert_eq!((send().await.status, send().await.status), (202, 202));
    let told = commands::list_for_run(&mut world.store().acquire().await.unwrap(), id).await.unwrap();
    assert_eq!(told.len(), 1, "asked twice with one key, told once");
    assert_eq!(told[0].kind, store::CommandKind::Cancel);
    let by = told[0].payload["by"].as_str().unwrap();
    assert!(by.contains("@writer") && by.contains("wrong issue"), "{by}");
    let audited = world.audited("cancel_requested").await;
    assert_eq!((audited.len(), &audited[0]["reason"]), (1, &json!("wrong issue")));
    let detail = reader.get(&format!("/api/v1/runs/{id}")).await.ok();
    assert!(detail["attempts"][0]["cancel_requested_at"].is_string());
    finish(&world, id, Outcome::Cancelled).await;
    writer.post(&path, json!({})).await.refused(409, "run_ended");
}

#[tokio::test]
async fn a_run_that_has_ended_begins_again() {
    let world = World::start().await;
    let (greeter, _) = repositories(&world).await;
    let id = run(&world, greeter, 1, world.now()).await;
    let (reader, writer) = (world.signed_in("reader").await, world.signed_in("writer").await);
    let path = format!("/api/v1/runs/{id}/retry");
    let start = json!({"from": "start"});
    reader.post(&path, start.clone()).await.refused(403, "role_missing");
    writer.post(&path, start.clone()).await.refused(409, "run_at_work");
    testing::has_reported(world.store(), id).await.unwrap();
    finish(&world, id, Outcome::Failed).await;
    for wrong in ["", "nowhere", "from start"] {
        writer.post(&path, json!({"from": wrong})).await.refused(400, "from_invalid");
    }
    let send = |from: &str| {
        let request = writer.request(Method::POST, &path).header("idempotency-key", "k1");
        writer.send(request.json(&json!({"from": from})))
    };
    let (one, two) = tokio::join!(send("publish"), send("publish"));
    assert_eq!((one.status, two.status), (202, 202), "{} {}", one.body, two.body);
    let detail = reader.get(&format!("/api/v1/runs/{id}")).await.ok();
    assert_eq!((&detail["run"]["attempt"], &detail["run"]["state"]), (&json!(2), &json!("queued")));
    assert_eq!(detail["attempts"][1]["from_step"], "publish");
    send("start").await.refused(422, "idempotency_key_reused");
    finish(&world, id, Outcome::Failed).await;
    // No agent's work was kept, so there is nothing to go on from, and it begins anew.
    assert_eq!(writer.post(&path, json!({"from": "continue", "reason": "once more"})).await.status, 202);
    let audited = world.audited("retry_requested").await;
    assert_eq!(
        (audited.len(), &audited[1]["continues"], &audited[1]["reason"]),
        (2, &json!("nothing"), &json!("once more"))
    );
    let told = commands::list_for_run(&mut world.store().acquire().await.unwrap(), id).await.unwrap();
    assert_eq!(told.iter().filter(|command| command.kind == store::CommandKind::Start).count(), 2);
}

#[tokio::test]
async fn another_run_on_the_issue_comes_first() {
    let world = World::start().await;
    let (greeter, _) = repositories(&world).await;
    let ended = run(&world, greeter, 1, world.now()).await;
    finish(&world, ended, Outcome::Failed).await;
    let mut tx = world.store().begin().await.unwrap();
    let first = runs::get(&mut tx, ended).await.unwrap();
    let new = NewRun {
        repository_id: greeter,
        project_id: first.project_id,
        subject: first.subject,
        subject_title: "Again",
        agent: &first.agent,
        trigger: &first.trigger,
        business_key: &BusinessKey::by_hand("second"),
        requested_by: &Sender { id: 7, login: "ada".into(), is_bot: false },
        instructions: "",
        cause_chain: &[],
        machine_depth: 0,
        deadline_at: world.now() + TimeDelta::hours(1),
        now: world.now(),
    };
    let NewRunResult::Started(_) = runs::insert(&mut tx, &new).await.unwrap() else { panic!("busy") };
    tx.commit().await.unwrap();
    let writer = world.signed_in("writer").await;
    let retry = writer.post(&format!("/api/v1/runs/{ended}/retry"), json!({"from": "start"})).await;
    retry.refused(409, "subject_busy");
}

#[tokio::test]
async fn deliveries_say_what_became_of_them() {
    let world = World::start().await;
    let (greeter, vault) = repositories(&world).await;
    let mut guids = Vec::new();
    for (index, (repository, verdict)) in [
        (Some(greeter), VerdictKind::NoRule),
        (Some(greeter), VerdictKind::Started),
        (Some(vault), VerdictKind::Ignored),
        (None, VerdictKind::RepositoryUnknown),
    ]
    .into_iter()
    .enumerate()
    {
        let guid = format!("guid-{index}");
        let number = i64::try_from(index).unwrap();
        let new = NewDelivery {
            hook_key: 1,
            guid: &guid,
            event: "issues",
            action: Some("labeled"),
            repository,
            forge_repo_id: None,
            subject_number: Some(number),
            sender_login: Some("ada"),
            sender_id: Some(7),
            verdict,
            reason: "label `bug` starts nothing in this project",
            received_at: world.now() + TimeDelta::seconds(number),
            source: DeliverySource::Webhook,
        };
        deliveries::insert(&mut world.store().acquire().await.unwrap(), new, None).await.unwrap();
        guids.push(guid);
    }
    let listed = |page: Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|item| item["guid"].as_str().unwrap().to_owned()).collect()
    };
    let (reader, admin) = (world.signed_in("reader").await, world.signed_in("admin").await);
    assert_eq!(listed(reader.get("/api/v1/deliveries").await.ok()), ["guid-1", "guid-0"]);
    assert_eq!(listed(admin.get("/api/v1/deliveries").await.ok()), ["guid-3", "guid-2", "guid-1", "guid-0"]);
    for (query, expected) in [
        ("verdict=no_rule", vec!["guid-0"]),
        ("number=1", vec!["guid-1"]),
        ("guid=guid-0", vec!["guid-0"]),
        ("guid=guid-2", vec![]),
        ("project=demo&limit=1", vec!["guid-1"]),
    ] {
        assert_eq!(listed(reader.get(&format!("/api/v1/deliveries?{query}")).await.ok()), expected, "{query}");
    }
    let first = reader.get("/api/v1/deliveries?limit=1").await.ok();
    let next = first["next"].as_str().unwrap();
    assert_eq!(listed(reader.get(&format!("/api/v1/deliveries?limit=1&cursor={next}")).await.ok()), ["guid-0"]);
    let reason = &reader.get("/api/v1/deliveries?guid=guid-0").await.ok()["items"][0]["reason"];
    assert_eq!(reason, "label `bug` starts nothing in this project");
}
