//! Attempts: their Job, its report.

use domain::ids::Attempt;
use serde_json::json;
use store::{
    JobState, StoreError,
    attempts::{self, JobUpdate, LastHeard},
};

use crate::world::{World, at};

const FIRST: Attempt = Attempt::FIRST;

fn job(state: JobState, seconds: i64) -> JobUpdate<'static> {
    JobUpdate { state, name: Some("run-1"), token_hash: Some(b"hash"), now: at(seconds) }
}

#[tokio::test]
async fn an_attempt_is_there_once() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut conn = world.conn().await;
    assert!(!attempts::insert(&mut conn, run, FIRST, at(5)).await.unwrap(), "the run brought its first");
    assert!(attempts::insert(&mut conn, run, Attempt(2), at(6)).await.unwrap());
    assert!(!attempts::insert(&mut conn, run, Attempt(2), at(7)).await.unwrap());
    let all = attempts::list(&mut conn, run).await.unwrap();
    assert_eq!(all.iter().map(|row| (row.attempt.0, row.started_at)).collect::<Vec<_>>(), [(1, at(0)), (2, at(6))]);
    let missing = attempts::get(&mut conn, run, Attempt(3)).await;
    assert!(matches!(missing, Err(StoreError::Missing { what: "attempt", .. })));
}

#[tokio::test]
async fn a_job_never_goes_back() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut conn = world.conn().await;
    assert!(attempts::set_job(&mut conn, run, FIRST, job(JobState::Launching, 1)).await.unwrap());
    assert!(attempts::set_job(&mut conn, run, FIRST, job(JobState::Launching, 2)).await.unwrap(), "the same again");
    let ended = JobUpdate { name: None, token_hash: None, ..job(JobState::Ended, 3) };
    assert!(attempts::set_job(&mut conn, run, FIRST, ended).await.unwrap());
    assert!(!attempts::set_job(&mut conn, run, FIRST, job(JobState::Running, 4)).await.unwrap());
    let row = attempts::get(&mut conn, run, FIRST).await.unwrap();
    assert_eq!((row.job_state, row.job_name.as_deref()), (JobState::Ended, Some("run-1")));
    assert_eq!(row.job_heartbeat_at, Some(at(3)));
}

#[tokio::test]
async fn a_heartbeat_learns_of_the_cancel() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut conn = world.conn().await;
    assert!(!attempts::heartbeat(&mut conn, run, FIRST, at(10)).await.unwrap());
    assert!(!attempts::heartbeat(&mut conn, run, FIRST, at(9)).await.unwrap(), "one that was overtaken");
    let row = attempts::get(&mut conn, run, FIRST).await.unwrap();
    assert_eq!((row.job_state, row.job_heartbeat_at), (JobState::Running, Some(at(10))));
    assert!(attempts::request_cancel(&mut conn, run, FIRST, at(11)).await.unwrap());
    assert!(!attempts::request_cancel(&mut conn, run, FIRST, at(12)).await.unwrap());
    assert!(attempts::heartbeat(&mut conn, run, FIRST, at(13)).await.unwrap());
    assert_eq!(attempts::get(&mut conn, run, FIRST).await.unwrap().cancel_requested_at, Some(at(11)));
    assert!(attempts::heartbeat(&mut conn, run, Attempt(7), at(14)).await.is_err());
}

#[tokio::test]
async fn the_first_report_stays() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut conn = world.conn().await;
    assert_eq!(attempts::report(&mut conn, run, FIRST).await.unwrap(), None);
    assert!(attempts::store_report(&mut conn, run, FIRST, &json!({ "a": "\0" })).await.unwrap());
    assert!(!attempts::store_report(&mut conn, run, FIRST, &json!({ "a": 2 })).await.unwrap());
    assert_eq!(attempts::report(&mut conn, run, FIRST).await.unwrap(), Some(json!({ "a": "\u{fffd}" })));
    assert_eq!(attempts::get(&mut conn, run, FIRST).await.unwrap().job_state, JobState::Ended);
    attempts::set_prompt(&mut conn, run, FIRST, "do\0 it").await.unwrap();
    attempts::set_workspace_blob(&mut conn, run, FIRST, "w").await.unwrap();
    attempts::set_result_blob(&mut conn, run, FIRST, "r").await.unwrap();
    let row = attempts::get(&mut conn, run, FIRST).await.unwrap();
    assert_eq!(row.prompt.as_deref(), Some("do\u{fffd} it"));
    assert_eq!((row.workspace_blob.as_deref(), row.result_blob.as_deref()), (Some("w"), Some("r")));
}

#[tokio::test]
async fn what_was_last_heard_of_a_job_tells_who_wants_its_end() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut conn = world.conn().await;
    assert!(attempts::last_heard(&mut conn, run, Attempt(7)).await.is_err());
    let heard = attempts::last_heard(&mut conn, run, FIRST).await.unwrap();
    let nothing = LastHeard {
        state: JobState::None,
        heartbeat_at: None,
        report: None,
        is_stopped: false,
        is_asked_to_end: false,
    };
    assert_eq!(heard, nothing);
    attempts::heartbeat(&mut conn, run, FIRST, at(10)).await.unwrap();
    attempts::request_cancel(&mut conn, run, FIRST, at(11)).await.unwrap();
    let heard = attempts::last_heard(&mut conn, run, FIRST).await.unwrap();
    let alive = LastHeard { state: JobState::Running, heartbeat_at: Some(at(10)), is_asked_to_end: true, ..nothing };
    assert_eq!(heard, alive, "a person has asked, and nothing was done yet");
    attempts::request_stop(&mut conn, run, FIRST, at(12)).await.unwrap();
    attempts::store_report(&mut conn, run, FIRST, &json!({ "a": 1 })).await.unwrap();
    let heard = attempts::last_heard(&mut conn, run, FIRST).await.unwrap();
    let report = Some(json!({ "a": 1 }));
    assert_eq!(heard, LastHeard { state: JobState::Ended, is_stopped: true, report, ..alive });
}
