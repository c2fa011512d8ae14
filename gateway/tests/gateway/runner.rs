//! The runner's endpoint, as the program inside a Job uses it.

use chrono::Utc;
use domain::{
    ids::{Attempt, RepositoryId, RunId},
    job::{AgentEnd, JobReport, LogBatch, LogChunk, LogStream, Usage},
    job_tokens::{self, SessionHashes},
    run::Outcome,
};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use store::{
    JobState,
    attempts::{self, JobUpdate},
    blobs::BlobKey,
    logs,
    runs::{self, End},
    tokens::{self, Claim, Claimed},
};

use crate::{
    events::labeled,
    world::{World, describing, problem},
};

/// The session token of the first attempt.
pub const TOKEN: &str = "cxs_1111111111111111111111111111111111111111111111111111111111111111";
/// Its launch token.
pub const LAUNCH: &str = "cxl_1111111111111111111111111111111111111111111111111111111111111111";

/// A world with a run whose Job has been launched and has claimed its attempt.
pub async fn launched() -> (World, RunId) {
    let (world, run) = unclaimed().await;
    claim_as(&world, (run, Attempt::FIRST), TOKEN).await;
    (world, run)
}

/// Has a runner claim an attempt with this session.
pub async fn claim_as(world: &World, (run, attempt): (RunId, Attempt), session: &str) {
    let claim = Claim { run, attempt, by: "pod-1", hashes: SessionHashes::of(session), now: Utc::now() };
    let claimed = tokens::claim(&mut world.store().acquire().await.unwrap(), claim).await.unwrap();
    assert_eq!(claimed, Claimed::First);
}

/// A world with a run whose Job has been launched.
pub async fn unclaimed() -> (World, RunId) {
    let world = World::new().await;
    let answer = world.send("issues", "start", &labeled(1, "run:dev", 0)).await;
    let run = answer["run"].as_str().unwrap().parse().unwrap();
    let hash = job_tokens::hash(LAUNCH);
    let job = JobUpdate { state: JobState::Launching, name: Some("job"), token_hash: Some(&hash), now: Utc::now() };
    let mut conn = world.store().acquire().await.unwrap();
    assert!(attempts::set_job(&mut conn, run, Attempt::FIRST, job).await.unwrap());
    drop(conn);
    (world, run)
}

fn ask(world: &World, method: Method, path: &str) -> RequestBuilder {
    world.client.request(method, world.url(path)).bearer_auth(TOKEN)
}

fn report(message: &str) -> JobReport {
    JobReport {
        end: AgentEnd::Completed,
        thread_id: None,
        last_message: Some(message.to_owned()),
        usage: Usage::default(),
        checks: Vec::new(),
        head_sha: None,
        changed_files: 0,
        dropped_log_bytes: 0,
        resumed: None,
        started_at: Utc::now(),
        finished_at: Utc::now(),
    }
}

fn chunk(seq: u64, text: &str) -> LogChunk {
    LogChunk { seq, at: Utc::now(), stream: LogStream::Codex, text: text.to_owned() }
}

#[tokio::test]
async fn only_the_token_of_an_open_attempt_opens() {
    let (world, run) = launched().await;
    let addresses = [
        (Method::GET, "/runner/v1/job"),
        (Method::GET, "/runner/v1/workspace"),
        (Method::GET, "/runner/v1/setup-cache"),
        (Method::PUT, "/runner/v1/setup-cache"),
        (Method::PUT, "/runner/v1/checkpoint?seq=1"),
        (Method::GET, "/runner/v1/checkpoint/work"),
        (Method::GET, "/runner/v1/checkpoint/thread"),
        (Method::POST, "/runner/v1/logs"),
        (Method::PUT, "/runner/v1/result"),
        (Method::POST, "/runner/v1/report"),
    ];
    for (method, path) in &addresses {
        let nobody = world.client.request(method.clone(), world.url(path)).send().await.unwrap();
        assert_eq!(problem(nobody).await, (401, "token_missing".to_owned()), "{path}");
        let other = world.client.request(method.clone(), world.url(path)).bearer_auth("other").send().await.unwrap();
        assert_eq!(problem(other).await, (401, "token_unknown".to_owned()), "{path}");
    }
    let end = End { attempt: Attempt::FIRST, outcome: Outcome::Lost, cause: "Silent.", now: Utc::now() };
    runs::finish(&mut world.store().acquire().await.unwrap(), run, end).await.unwrap();
    for (method, path) in addresses {
        let late = ask(&world, method, path).json(&LogBatch::default()).send().await.unwrap();
        assert_eq!(problem(late).await, (401, "attempt_ended".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn job_and_workspace_are_what_the_worker_stored() {
    let (world, run) = launched().await;
    let early = ask(&world, Method::GET, "/runner/v1/job").send().await.unwrap();
    assert_eq!(problem(early).await, (404, "job_missing".to_owned()));
    let early = ask(&world, Method::GET, "/runner/v1/workspace").send().await.unwrap();
    assert_eq!(problem(early).await, (404, "workspace_missing".to_owned()));

    world.blobs.put(&BlobKey::job(run, Attempt::FIRST), "{\"prompt\":\"x\"}".into()).await.unwrap();
    let bundle = vec![7_u8; 3 << 20];
    let key = BlobKey::workspace(RepositoryId::from_uuid(uuid::Uuid::now_v7()), "abc");
    world.blobs.put(&key, bundle.clone().into()).await.unwrap();
    let mut conn = world.store().acquire().await.unwrap();
    attempts::set_workspace_blob(&mut conn, run, Attempt::FIRST, key.as_str()).await.unwrap();
    let job: Value = ask(&world, Method::GET, "/runner/v1/job").send().await.unwrap().json().await.unwrap();
    assert_eq!(job, json!({ "prompt": "x" }));
    let workspace = ask(&world, Method::GET, "/runner/v1/workspace").send().await.unwrap();
    assert_eq!(workspace.headers()["content-type"], "application/octet-stream");
    assert_eq!(workspace.bytes().await.unwrap(), bundle);
}

#[tokio::test]
async fn output_sent_twice_is_kept_once_and_the_answer_tells_of_a_cancel() {
    let (world, run) = launched().await;
    let batch = LogBatch { chunks: vec![chunk(0, "a"), chunk(1, "b\0")] };
    for expected in [false, false] {
        let ack: Value =
            ask(&world, Method::POST, "/runner/v1/logs").json(&batch).send().await.unwrap().json().await.unwrap();
        assert_eq!(ack, json!({ "cancel": expected }));
    }
    let mut conn = world.store().acquire().await.unwrap();
    let kept = logs::read(&mut conn, run, Attempt::FIRST, 0, 10).await.unwrap();
    assert_eq!(kept.iter().map(|chunk| chunk.text.as_str()).collect::<Vec<_>>(), ["a", "b\u{fffd}"]);
    let attempt = attempts::get(&mut conn, run, Attempt::FIRST).await.unwrap();
    assert_eq!(attempt.job_state, JobState::Running);
    attempts::request_cancel(&mut conn, run, Attempt::FIRST, Utc::now()).await.unwrap();
    let beat = ask(&world, Method::POST, "/runner/v1/logs").json(&LogBatch::default()).send().await.unwrap();
    assert_eq!(beat.json::<Value>().await.unwrap(), json!({ "cancel": true }));
    let broken = ask(&world, Method::POST, "/runner/v1/logs").json(&json!({ "chunks": 3 })).send().await.unwrap();
    assert_eq!(problem(broken).await, (422, "request_invalid".to_owned()));
}

#[tokio::test]
async fn the_first_report_counts_and_wakes_the_workflow_once() {
    let (world, run) = launched().await;
    let bundle = vec![9_u8; 6 << 20];
    let put = describing(ask(&world, Method::PUT, "/runner/v1/result"), &bundle).body(bundle.clone());
    let put = put.send().await.unwrap();
    assert_eq!(put.status().as_u16(), 204);
    for message in ["first", "second"] {
        let sent = ask(&world, Method::POST, "/runner/v1/report").json(&report(message)).send().await.unwrap();
        assert_eq!(sent.status().as_u16(), 204);
    }
    let mut conn = world.store().acquire().await.unwrap();
    let stored = attempts::report(&mut conn, run, Attempt::FIRST).await.unwrap().unwrap();
    assert_eq!(stored["last_message"], "first");
    let attempt = attempts::get(&mut conn, run, Attempt::FIRST).await.unwrap();
    assert_eq!(world.blobs.get(&BlobKey::stored(&attempt.result_blob.unwrap())).await.unwrap(), bundle);
    let signals: Vec<_> = world.commands(run).await.into_iter().filter(|command| command.name.is_some()).collect();
    assert_eq!((signals.len(), signals[0].name.as_deref()), (1, Some("job_reported")));
    assert_eq!(signals[0].payload, Value::Null);
    let late = describing(ask(&world, Method::PUT, "/runner/v1/result"), b"other").body("other").send().await.unwrap();
    assert_eq!(problem(late).await, (409, "already_reported".to_owned()));
    assert_eq!(world.blobs.get(&BlobKey::result(run, Attempt::FIRST)).await.unwrap(), bundle);
}

#[tokio::test]
async fn a_result_that_is_too_large_is_not_kept() {
    let (world, run) = launched().await;
    let megabytes = (0..101).map(|_| Ok::<_, std::io::Error>(vec![1_u8; 1 << 20]));
    let body = reqwest::Body::wrap_stream(futures::stream::iter(megabytes));
    let request = ask(&world, Method::PUT, "/runner/v1/result");
    let request = request.header("upload-length", 101 << 20).header("upload-digest", "ab".repeat(32));
    // The gateway may hang up while the rest is still being sent.
    if let Ok(refused) = request.body(body).send().await {
        assert_eq!(problem(refused).await, (413, "result_too_large".to_owned()));
    }
    assert!(!world.blobs.exists(&BlobKey::result(run, Attempt::FIRST)).await.unwrap());
}
