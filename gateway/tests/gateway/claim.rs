//! Claiming an attempt, and tokens that open nothing.

use chrono::Utc;
use domain::{
    ids::{Attempt, RunId},
    job::LogBatch,
    job_tokens::{egress_token, model_token},
    run::Outcome,
};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use store::{
    audit,
    runs::{self, End},
    tokens,
};

use crate::{
    runner::{LAUNCH, TOKEN, unclaimed},
    world::{World, problem},
};

const OTHER: &str = "cxs_3333333333333333333333333333333333333333333333333333333333333333";

async fn claim(world: &World, by: &str, session: &str) -> Response {
    let claim = json!({ "pod_uid": by, "session": session });
    world.client.post(world.url("/runner/v1/claim")).bearer_auth(LAUNCH).json(&claim).send().await.unwrap()
}

async fn beat(world: &World, token: &str) -> Response {
    let request = world.client.post(world.url("/runner/v1/logs")).bearer_auth(token);
    request.json(&LogBatch::default()).send().await.unwrap()
}

/// Codes and doors of the refused tokens that the audit was told of.
async fn told(world: &World, run: RunId) -> Vec<(String, String)> {
    let events = audit::list_for_run(&mut world.store().acquire().await.unwrap(), run).await.unwrap();
    assert!(!format!("{events:?}").contains("cxl_") && !format!("{events:?}").contains("cxs_"), "{events:?}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let refused = events.iter().filter(|event| event.kind == "token_refused");
    refused.map(|event| (text(&event.detail["code"]), text(&event.detail["door"]))).collect()
}

fn told_once(code: &str, door: &str) -> Vec<(String, String)> {
    vec![(code.to_owned(), door.to_owned())]
}

#[tokio::test]
async fn the_first_claims_and_the_token_is_worthless_to_the_second() {
    let (world, run) = unclaimed().await;
    assert_eq!(problem(beat(&world, TOKEN).await).await, (401, "token_unknown".to_owned()), "not yet");
    for _ in 0..2 {
        assert_eq!(claim(&world, "pod-1", TOKEN).await.status().as_u16(), 204, "the same claim may come twice");
    }
    for (by, session) in [("pod-2", TOKEN), ("pod-1", OTHER), ("pod-2", OTHER)] {
        let taken = claim(&world, by, session).await;
        assert_eq!(problem(taken).await, (409, "attempt_claimed".to_owned()), "{by}");
    }
    assert_eq!(beat(&world, TOKEN).await.status().as_u16(), 200);
    assert_eq!(problem(beat(&world, OTHER).await).await, (401, "token_unknown".to_owned()));
    assert_eq!(told(&world, run).await, told_once("attempt_claimed", "launch token"));
}

#[tokio::test]
async fn the_launch_token_opens_no_other_door_and_each_token_only_its_own() {
    let (world, run) = unclaimed().await;
    assert_eq!(claim(&world, "pod-1", TOKEN).await.status().as_u16(), 204);
    let doors = [
        (Method::GET, "/runner/v1/job"),
        (Method::GET, "/runner/v1/workspace"),
        (Method::POST, "/runner/v1/logs"),
        (Method::PUT, "/runner/v1/result"),
        (Method::POST, "/runner/v1/report"),
    ];
    for token in [LAUNCH, &model_token(TOKEN), &egress_token(TOKEN)] {
        for (method, path) in doors.clone() {
            let request = world.client.request(method, world.url(path)).bearer_auth(token);
            let refused = request.json(&LogBatch::default()).send().await.unwrap();
            assert_eq!(problem(refused).await, (403, "token_misplaced".to_owned()), "{path}");
        }
    }
    let session = json!({ "pod_uid": "pod-1", "session": TOKEN });
    let request = world.client.post(world.url("/runner/v1/claim")).bearer_auth(TOKEN).json(&session);
    assert_eq!(problem(request.send().await.unwrap()).await, (403, "token_misplaced".to_owned()));
    assert_eq!(told(&world, run).await, told_once("token_misplaced", "session token"));
}

#[tokio::test]
async fn a_token_that_was_cut_is_unknown_and_the_audit_is_told() {
    let (world, run) = unclaimed().await;
    claim(&world, "pod-1", TOKEN).await;
    for cut in [&TOKEN[..TOKEN.len() - 1], "cxs_", "x", &TOKEN.replace('1', "G")] {
        assert_eq!(problem(beat(&world, cut).await).await, (401, "token_unknown".to_owned()), "{cut}");
    }
    assert!(told(&world, run).await.is_empty(), "nobody knows whose it was");
    let nobodys = "select count(*) from audit.flow_events where kind = 'token_refused' and run_id is null";
    let count: i64 = sqlx::query_scalar(nobodys).fetch_one(world.store().pool()).await.unwrap();
    assert_eq!(count, 1);
}

#[tokio::test]
async fn nothing_opens_once_the_job_was_ended_or_is_past_its_time() {
    for code in ["token_revoked", "token_expired"] {
        let (world, run) = unclaimed().await;
        claim(&world, "pod-1", TOKEN).await;
        if code == "token_expired" {
            let past = "update runs set deadline_at = now() - interval '1 second'";
            sqlx::query(past).execute(world.store().pool()).await.unwrap();
        } else {
            let mut conn = world.store().acquire().await.unwrap();
            tokens::revoke(&mut conn, run, Attempt::FIRST, Utc::now()).await.unwrap();
        }
        assert_eq!(problem(beat(&world, TOKEN).await).await, (401, code.to_owned()));
        assert_eq!(problem(claim(&world, "pod-1", TOKEN).await).await, (401, code.to_owned()));
        assert_eq!(told(&world, run).await, told_once(code, "session token"));
    }
}

#[tokio::test]
async fn an_attempt_that_has_ended_is_claimed_by_nobody() {
    let (world, run) = unclaimed().await;
    let end = End { attempt: Attempt::FIRST, outcome: Outcome::Lost, cause: "Silent.", now: Utc::now() };
    runs::finish(&mut world.store().acquire().await.unwrap(), run, end).await.unwrap();
    assert_eq!(problem(claim(&world, "pod-1", TOKEN).await).await, (401, "attempt_ended".to_owned()));
    assert_eq!(told(&world, run).await, told_once("attempt_ended", "launch token"));
}

#[tokio::test]
async fn an_odd_claim_is_refused_and_leaves_the_attempt_to_be_claimed() {
    let (world, _) = unclaimed().await;
    for (by, session) in
        [("", TOKEN), ("a b", TOKEN), (&*"x".repeat(101), TOKEN), ("pod-1", "cxs_1"), ("pod-1", LAUNCH)]
    {
        let odd = claim(&world, by, session).await;
        assert_eq!(problem(odd).await, (400, "claim_invalid".to_owned()), "{by} {session}");
    }
    assert_eq!(claim(&world, "pod-1", TOKEN).await.status().as_u16(), 204);
}
